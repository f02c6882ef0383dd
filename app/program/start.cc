// How our programs start: with short waits, large pages, and memory that they keep. There is nothing to call, it is enough
// to be linked in.
//
// OpenMP's threads spin for milliseconds by default, which on a machine with anything else to do starves the threads
// they wait for: one image of a model of 64 tokens took 40 s instead of 1. Here they spin for some microseconds and then
// sleep. And half of the time that it took to open a model of 0.8 GB went to 200,000 page faults: malloc asks for pages of
// 2 MiB when it is told to, where the system grants them to those who ask (transparent huge pages: "madvise").
//
// libgomp reads its settings in its constructor and malloc before that, so the program starts itself anew with them; but
// before any constructor has run, since libtorch's take 0.2 s. Someone's own OMP_WAIT_POLICY, GOMP_SPINCOUNT or
// GLIBC_TUNABLES are left alone.
#include <alloca.h>
#include <malloc.h>
#include <unistd.h>

#include <string_view>

namespace {

// Runs before the C library is set up: no getenv, no memory but the stack.
[[gnu::no_sanitize("address", "undefined")]] void start_anew(int, char** argv, char** environment) {
  size_t count = 0;
  bool own_tunables = false;
  for (; environment[count] != nullptr; ++count) {
    const std::string_view entry = environment[count];
    if (entry.starts_with("OMP_WAIT_POLICY=") || entry.starts_with("GOMP_SPINCOUNT=")) return;
    own_tunables = own_tunables || entry.starts_with("GLIBC_TUNABLES=");
  }
  auto* const longer = static_cast<const char**>(alloca((count + 4) * sizeof(char*)));
  for (size_t i = 0; i < count; ++i) longer[i] = environment[i];
  longer[count] = "OMP_WAIT_POLICY=passive";
  longer[count + 1] = "GOMP_SPINCOUNT=1000";
  longer[count + 2] = own_tunables ? nullptr : "GLIBC_TUNABLES=glibc.malloc.hugetlb=1";
  longer[count + 3] = nullptr;
  ::execve("/proc/self/exe", argv, const_cast<char**>(longer));
  // It is slower, not wrong, to go on where that is not possible.
}

// What the dynamic linker runs before the constructors of all libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const first)(int, char**, char**) = start_anew;

// By default glibc gives every large tensor back to the system and faults it in anew, page by page, at each use: a tenth
// of the time of sampling.
[[gnu::constructor]] void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 2'000'000'000);
}

}  // namespace

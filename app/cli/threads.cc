// How the program's threads wait for one another: there is nothing to call, it is enough to be linked in.
//
// OpenMP's threads spin for milliseconds by default, which on a machine with anything else to do starves the threads
// they wait for: one image of a model of 64 tokens took 40 s instead of 1. Here they spin for some microseconds and then
// sleep. libgomp reads its settings in its constructor, before main(), so the program starts itself anew with them; but
// before any constructor has run, since libtorch's take 0.2 s. Someone's own OMP_WAIT_POLICY or GOMP_SPINCOUNT is left
// alone.
#include <alloca.h>
#include <unistd.h>

#include <string_view>

namespace {

// Runs before the C library is set up: no getenv, no memory but the stack.
[[gnu::no_sanitize("address", "undefined")]] void restart_with_short_waits(int, char** argv,
                                                                           char** environment) {
  size_t count = 0;
  for (; environment[count] != nullptr; ++count) {
    const std::string_view entry = environment[count];
    if (entry.starts_with("OMP_WAIT_POLICY=") || entry.starts_with("GOMP_SPINCOUNT=")) return;
  }
  auto* const longer = static_cast<const char**>(alloca((count + 3) * sizeof(char*)));
  for (size_t i = 0; i < count; ++i) longer[i] = environment[i];
  longer[count] = "OMP_WAIT_POLICY=passive";
  longer[count + 1] = "GOMP_SPINCOUNT=1000";
  longer[count + 2] = nullptr;
  ::execve("/proc/self/exe", argv, const_cast<char**>(longer));
  // It is slower, not wrong, to go on where that is not possible.
}

// What the dynamic linker runs before the constructors of all libraries.
[[gnu::section(".preinit_array"), gnu::used]] void (*const first)(int, char**,
                                                                  char**) = restart_with_short_waits;

}  // namespace

#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <mutex>
#include <string>

#include "io/atomic_file.h"
#include "io/error.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

struct Descriptor {
  int value;
  ~Descriptor() { ::close(value); }
};

// The living mappings, for a signal handler: it may only read what is there already.
struct Mapping {
  std::atomic<const std::byte*> begin = nullptr;
  std::atomic<std::size_t> size = 0;
  char path[512] = {};
};
std::array<Mapping, 256> mappings;
std::mutex mappings_change;
const char* program_name = "";

void remember(const std::byte* begin, std::size_t size, const std::string& path) {
  const std::lock_guard lock(mappings_change);
  for (auto& mapping : mappings) {
    if (mapping.begin.load() != nullptr) continue;
    path.copy(mapping.path, sizeof mapping.path - 1);
    mapping.path[std::min(path.size(), sizeof mapping.path - 1)] = '\0';
    mapping.size = size;
    mapping.begin = begin;
    return;
  }
}

void forget(const std::byte* begin) {
  const std::lock_guard lock(mappings_change);
  for (auto& mapping : mappings)
    if (mapping.begin.load() == begin) mapping.begin = nullptr;
}

void on_bus_error(int signal, siginfo_t* info, void*) {
  const auto* address = static_cast<const std::byte*>(info->si_addr);
  for (const auto& mapping : mappings) {
    const auto* begin = mapping.begin.load();
    if (begin == nullptr || address < begin || address >= begin + mapping.size.load()) continue;
    for (const char* part : {program_name, ": ", mapping.path,
                             ": became shorter while it was read: another program overwrote it\n"}) {
      if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
    }
    abandon_temporaries();
    ::_exit(3);
  }
  ::signal(signal, SIG_DFL);  // not one of ours: the instruction runs again, and ends the process
}

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& what) {
  throw InputError(path.string() + ": " + what);
}

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) {
  // Non-blocking, or opening a named pipe would wait for its writer.
  const int opened = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (opened < 0) fail(path, std::string("cannot be opened: ") + std::strerror(errno));
  const Descriptor descriptor{opened};

  struct stat status = {};
  if (::fstat(descriptor.value, &status) != 0)
    fail(path, std::string("cannot be read: ") + std::strerror(errno));
  if (S_ISDIR(status.st_mode)) fail(path, "expected a file, found a folder");
  if (!S_ISREG(status.st_mode)) fail(path, "expected a regular file, found a device, pipe or socket");
  if (status.st_size == 0) return;  // nothing can be mapped, nothing needs to be

  const auto size = static_cast<std::size_t>(status.st_size);
  // Without NORESERVE the kernel would want swap for the whole file in case all of it is written to.
  void* mapped =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, descriptor.value, 0);
  if (mapped == MAP_FAILED && errno == ENOMEM)
    throw OutOfMemory(path.string() + ": " + std::to_string(size) + " bytes of address space for the file");
  if (mapped == MAP_FAILED) fail(path, std::string("cannot be mapped into memory: ") + std::strerror(errno));
  data_ = static_cast<std::byte*>(mapped);
  size_ = size;
  remember(data_, size_, printable(path.string(), true));
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  forget(data_);
  ::munmap(data_, size_);
}

void end_when_a_mapped_file_shrinks(const char* program) {
  program_name = program;
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace switchyard::io

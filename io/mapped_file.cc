#include "io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "io/error.h"

namespace switchyard::io {
namespace {

struct Descriptor {
  int value;
  ~Descriptor() { ::close(value); }
};

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
  if (mapped == MAP_FAILED) fail(path, std::string("cannot be mapped into memory: ") + std::strerror(errno));
  data_ = static_cast<std::byte*>(mapped);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace switchyard::io

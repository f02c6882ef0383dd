#include "io/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "io/error.h"

namespace switchyard::io {
namespace fs = std::filesystem;
namespace {

constexpr const char* kTemporaryPrefix = ".switchyard-";
constexpr const char* kTemporarySuffix = ".tmp";

fs::path folder_of(const fs::path& file) {
  return file.has_parent_path() ? file.parent_path() : fs::path(".");
}

// Makes the rename itself durable. File systems that cannot sync a folder say EINVAL and need no sync.
bool sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return errno == EACCES;  // a folder may be writable but not readable
  const bool synced = ::fsync(descriptor) == 0 || errno == EINVAL;
  const int error = errno;
  ::close(descriptor);
  errno = error;
  return synced;
}

}  // namespace

AtomicFile::AtomicFile(fs::path target) : target_(std::move(target)) {
  std::error_code ignored;
  if (fs::is_symlink(target_, ignored) && fs::exists(target_, ignored))
    target_ = fs::canonical(target_, ignored);
  if (fs::is_directory(target_, ignored) || !target_.has_filename()) fail("is not a file name", EISDIR);
  // Renaming over /dev/null would replace the device.
  if (fs::exists(target_, ignored) && !fs::is_regular_file(target_, ignored))
    fail("is not a regular file", EINVAL);

  const std::string stem = kTemporaryPrefix + std::to_string(::getpid()) + "-";
  for (int attempt = 0; descriptor_ < 0; ++attempt) {
    temporary_ = folder_of(target_) / (stem + std::to_string(attempt) + kTemporarySuffix);
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST && errno != EINTR)
      fail("cannot create a file in its folder", errno);
  }
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, std::size_t size) {
  if (descriptor_ < 0) fail("is already closed", EBADF);
  const char* rest = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(descriptor_, rest, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot be written", errno);
    rest += written;
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (descriptor_ < 0) fail("is already closed", EBADF);
  if (::fsync(descriptor_) != 0) fail("cannot be flushed", errno);
  // Network file systems report a full disk as late as here.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("cannot be closed", errno);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail("cannot be put in place", errno);
  temporary_.clear();
  if (!sync_folder(folder_of(target_))) fail("is written, but its folder cannot be flushed", errno);
}

void replace_by(const fs::path& written, const fs::path& target) {
  const int descriptor = ::open(written.c_str(), O_RDONLY | O_CLOEXEC);
  const bool flushed = descriptor >= 0 && ::fsync(descriptor) == 0;
  const bool done = flushed && std::rename(written.c_str(), target.c_str()) == 0 && sync_folder(folder_of(target));
  const int error = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (!done) throw OutputError(target.string() + ": cannot be put in place: " + std::strerror(error));
}

bool is_temporary(const fs::path& file) {
  const auto name = file.filename().string();
  return name.starts_with(kTemporaryPrefix) && name.ends_with(kTemporarySuffix);
}

void AtomicFile::fail(const char* what, int error) const {
  throw OutputError(target_.string() + ": " + what + ": " + std::strerror(error));
}

void write_file(const fs::path& target, std::string_view text) {
  AtomicFile file(target);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace switchyard::io

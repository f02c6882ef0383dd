#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>
#include <new>
#include <random>
#include <set>
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

// Of the running system: the same in all its containers, another after each start and on each machine.
std::string boot() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id.size() < 8 ? "unknown0" : id.substr(0, 8);
}

std::string random_name() {
  std::random_device random;
  char digits[17];
  std::snprintf(digits, sizeof digits, "%08x%08x", random(), random());
  return kTemporaryPrefix + boot() + "-" + digits + kTemporarySuffix;
}

// File systems that no other machine writes to.
bool is_local(int descriptor) {
  constexpr std::array<long, 7> kLocal = {0xef53 /* ext */,
                                          0x58465342 /* xfs */,
                                          0x9123683e /* btrfs */,
                                          0x01021994 /* tmpfs */,
                                          0x794c7630 /* overlay */,
                                          0x2fc12fc1 /* zfs */,
                                          0xf2f52010 /* f2fs */};
  struct statfs system = {};
  return ::fstatfs(descriptor, &system) == 0 &&
         std::ranges::find(kLocal, long{system.f_type}) != kLocal.end();
}

// What abandon_temporaries() removes. Global, because the end of the process is.
struct Living {
  std::mutex mutex;
  std::set<fs::path> files;
};
Living& living() {
  // Outlives every other static, and takes no memory: there may be none.
  alignas(Living) static std::byte place[sizeof(Living)];
  static auto* const all = new (place) Living;
  return *all;
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

  const std::lock_guard lock(living().mutex);
  while (descriptor_ < 0) {
    temporary_ = folder_of(target_) / random_name();
    descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST && errno != EINTR) {
      temporary_.clear();
      fail("cannot create a file in its folder", errno);
    }
    // Before the lock was ours, somebody may have taken the file for a dead one's. Where there are no locks, nobody does.
    struct stat status = {};
    if (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX) == 0 && ::fstat(descriptor_, &status) == 0 &&
        status.st_nlink == 0)
      ::close(std::exchange(descriptor_, -1));
  }
  living().files.insert(temporary_);
}

AtomicFile::~AtomicFile() {
  const std::lock_guard lock(living().mutex);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
  if (descriptor_ >= 0) ::close(descriptor_);
  living().files.erase(temporary_);
}

void AtomicFile::write(const void* data, std::size_t size) {
  write_at(end_, data, size);
  end_ += size;
}

void AtomicFile::write_at(std::uint64_t offset, const void* data, std::size_t size) {
  if (descriptor_ < 0) fail("is already closed", EBADF);
  const char* rest = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(descriptor_, rest, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("cannot be written", errno);
    rest += written;
    offset += static_cast<std::uint64_t>(written);
    size -= static_cast<std::size_t>(written);
  }
}

void AtomicFile::commit() {
  if (descriptor_ < 0) fail("is already closed", EBADF);
  if (::fsync(descriptor_) != 0) fail("cannot be flushed", errno);
  // Network file systems report a full disk as late as at the first close. The lock lasts until the last one.
  const int locked = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  const bool closed = ::close(std::exchange(descriptor_, locked)) == 0;
  const int close_error = errno;
  if (!closed) fail("cannot be closed", close_error);
  {
    const std::lock_guard lock(living().mutex);
    if (std::rename(temporary_.c_str(), target_.c_str()) != 0) {
      const int error = errno;
      if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
      fail("cannot be put in place", error);
    }
    living().files.erase(temporary_);
    temporary_.clear();
  }
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!sync_folder(folder_of(target_))) fail("is written, but its folder cannot be flushed", errno);
}

bool is_temporary(const fs::path& file) {
  constexpr std::size_t kLength = 12 + 8 + 1 + 16 + 4;  // those of versions that took no locks are shorter
  const auto name = file.filename().string();
  return name.starts_with(kTemporaryPrefix) && name.ends_with(kTemporarySuffix) && name.size() == kLength;
}

void remove_dead_temporaries(const fs::path& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const auto& file = entry->path();
    if (!is_temporary(file)) continue;
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) continue;
    const bool ours = file.filename().string().starts_with(kTemporaryPrefix + boot() + "-");
    if ((ours || is_local(descriptor)) && ::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(file.c_str());
    ::close(descriptor);
  }
}

void abandon_temporaries() {
  living().mutex.lock();  // for good
  for (const auto& file : living().files) ::unlink(file.c_str());
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

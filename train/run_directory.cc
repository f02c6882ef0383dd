#include "train/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "io/atomic_file.h"
#include "io/error.h"

namespace switchyard::train {
namespace fs = std::filesystem;

RunDirectory::RunDirectory(const fs::path& directory) {
  std::error_code error;
  for (auto missing = fs::absolute(directory); !fs::exists(missing, error) && !error;
       missing = missing.parent_path())
    if (missing.has_filename()) made_.push_back(missing);
  fs::create_directories(directory, error);
  if (!error && !fs::is_directory(directory)) error = std::make_error_code(std::errc::not_a_directory);
  if (error) throw io::OutputError(directory.string() + ": cannot be created: " + error.message());
  descriptor_ = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    ::close(descriptor_);
    throw io::OutputError("another process trains in " + directory.string());
  }
  io::remove_dead_temporaries(directory);
}

RunDirectory::~RunDirectory() {
  std::error_code not_empty;
  for (const auto& folder : made_) fs::remove(folder, not_empty);
  if (descriptor_ >= 0) ::close(descriptor_);  // the lock goes with it, also when the process is killed
}

}  // namespace switchyard::train

// The folder of a training run, which one process has at a time.
#pragma once

#include <filesystem>
#include <vector>

namespace switchyard::train {

class RunDirectory {
 public:
  /// Makes the folder where it is missing, and takes it. What killed processes left half-written is cleared away. Throws
  /// io::OutputError where it cannot be made or written to, or another process trains there.
  explicit RunDirectory(const std::filesystem::path& directory);
  /// A folder that was made for nothing goes again.
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

 private:
  int descriptor_ = -1;
  std::vector<std::filesystem::path> made_;  // the innermost first
};

}  // namespace switchyard::train

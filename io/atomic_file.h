// A file that appears whole or not at all: written beside its target, flushed, then renamed over it.
//
// Until commit() returns, whatever stood at the target is untouched; without commit() the destructor removes
// the temporary. Every failure is an OutputError that names the target and the system's reason.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace switchyard::io {

class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);  // a symbolic link is followed: its file is replaced
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);  // appends
  void commit();                                   // once; nothing may be written after it

 private:
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;  // -1 once committed or failed to commit
};

// Puts a whole file that somebody else wrote into the same folder in the target's place, flushed. Throws OutputError.
void replace_by(const std::filesystem::path& written, const std::filesystem::path& target);

// Whether a file is such a temporary, left behind by a process that was killed.
bool is_temporary(const std::filesystem::path& file);

// The whole of `text` as the file `target`, atomically.
void write_file(const std::filesystem::path& target, std::string_view text);

}  // namespace switchyard::io

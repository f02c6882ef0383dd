// A file that appears whole or not at all: written beside its target, flushed, then renamed over it.
//
// Until commit() returns, whatever stood at the target is untouched; without commit() the destructor removes
// the temporary. Every failure is an OutputError that names the target and the system's reason.
//
// A process that is killed leaves its temporary behind, ".switchyard-BOOT-RANDOM.tmp". Its writer holds a lock (flock)
// on it for as long as it lives, so that whoever comes later can tell a dead one from a living one, whatever has become
// of process ids. Locks of other machines are not always seen on a folder that they share: where that may be, only what
// this system has written since it started (BOOT) is judged.
#pragma once

#include <cstddef>
#include <cstdint>
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
  void write_at(std::uint64_t offset, const void* data, std::size_t size);
  void commit();  // once; nothing may be written after it

 private:
  [[noreturn]] void fail(const char* what, int error) const;

  std::filesystem::path target_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;    // -1 once committed or failed to commit
  std::uint64_t end_ = 0;  // where write() goes on
};

// Whether a file is such a temporary, of a living process or a dead one.
bool is_temporary(const std::filesystem::path& file);

// Removes the temporaries in a folder whose writers are dead, and no others. Nothing is an error: a folder that is not
// there holds none.
void remove_dead_temporaries(const std::filesystem::path& folder);

// Removes the temporaries that this process is writing, for an end within the moment: from now on, whatever thread
// begins or commits a file waits for that end.
void abandon_temporaries();

// The whole of `text` as the file `target`, atomically.
void write_file(const std::filesystem::path& target, std::string_view text);

}  // namespace switchyard::io

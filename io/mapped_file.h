// A regular file mapped into memory, copy-on-write: what is written to the bytes stays private to this
// process.
//
// InputError names the path when it is missing, not a regular file, or unreadable; OutOfMemory, when the address space
// has no room for it. An empty file has size 0. A file that another process shortens while it is mapped raises SIGBUS, as
// with every mapping: replace files, do not overwrite them (AtomicFile does so), and see below.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace switchyard::io {

class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<std::byte> bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// For programs, once and before any file is mapped: from then on, reading what is no longer in a file that was mapped,
// in whatever thread, ends the process with one sentence that names the file ("PROGRAM: FILE: ...") and exit code 3.
// Nothing else could be right: the bytes are gone, and tensors made of them are in use everywhere.
void end_when_a_mapped_file_shrinks(const char* program);

}  // namespace switchyard::io

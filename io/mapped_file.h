// A regular file mapped into memory, copy-on-write: what is written to the bytes stays private to this
// process.
//
// InputError names the path when it is missing, not a regular file, or unreadable. An empty file has size 0.
// A file that another process shortens while it is mapped raises SIGBUS, as with every mapping: replace
// files, do not overwrite them (AtomicFile does so).
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

}  // namespace switchyard::io

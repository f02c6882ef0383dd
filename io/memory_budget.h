// Bounds what a file from outside can make its reader allocate.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "io/error.h"

namespace switchyard::io {

// Bytes that one byte of a deflate stream can stand for at most: 258 for two bits.
inline constexpr std::uint64_t kMostInflated = 1032;

// Twice the file's size, but at least 1 MiB, so that small files may hold more structure than data. It counts
// everything that was ever allocated, which bounds the reader's time as well.
class MemoryBudget {
 public:
  MemoryBudget(std::uint64_t file_size, std::string file)
      : limit_(std::max(kLeast, 2 * std::min(file_size, kMostFile))), left_(limit_), file_(std::move(file)) {}

  // Before allocating within a larger block; `use` is what for, in messages. Throws InputError where the
  // budget is exceeded.
  void take(std::uint64_t bytes, const char* use) {
    if (bytes > left_)
      throw InputError(file_ + ": expected to need at most " + std::to_string(limit_) +
                       " bytes of memory for its content (twice the file's size), found " + use +
                       " that need more");
    left_ -= bytes;
  }

  // Before allocating a block of its own: allocators round up and keep notes.
  void take_block(std::uint64_t bytes, const char* use) {
    take(bytes, use);
    if (bytes > 0) take(16, use);
  }

  // Makes room for `more` elements, growing as push_back does.
  template <class T>
  void reserve(std::vector<T>& elements, std::uint64_t more, const char* use) {
    if (more <= elements.capacity() - elements.size()) return;
    const std::uint64_t capacity = std::max<std::uint64_t>(2 * elements.capacity(), elements.size() + more);
    if (capacity > limit_ / sizeof(T)) take(limit_ + 1, use);
    take_block(capacity * sizeof(T), use);
    elements.reserve(capacity);
  }

 private:
  static constexpr std::uint64_t kLeast = std::uint64_t{1} << 20;
  static constexpr std::uint64_t kMostFile = std::uint64_t{1} << 62;

  std::uint64_t limit_, left_;
  std::string file_;
};

}  // namespace switchyard::io

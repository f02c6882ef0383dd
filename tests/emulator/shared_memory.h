// The shared arrays of the block that runs.
#pragma once

#include <cstddef>
#include <vector>

namespace switchyard::emulator {

class SharedMemory {
 public:
  /// A new block has none; `set` (0 or 1) tells alternate blocks apart.
  void start_block(std::size_t dynamic_bytes, int set);
  void end_block();

  void* array(const void* key, std::size_t bytes);
  void* dynamic(std::size_t number, std::size_t bytes, std::size_t end);
  bool contains(const void* address, std::size_t bytes) const;

 private:
  struct Array {
    const void* key;  // null: a piece of dynamic shared memory
    char* data;
    std::size_t bytes;
  };
  char* allocate(std::size_t bytes);
  void release(const Array& array);

  std::vector<Array> arrays_;
  std::vector<Array> dynamic_;
  std::size_t dynamic_bytes_ = 0;
  // ThreadSanitizer would take free() for an access by the freeing thread: there, blocks draw from two arenas
  // in turn.
  char* arena_ = nullptr;
  std::size_t arena_begin_ = 0, arena_used_ = 0;
};

}  // namespace switchyard::emulator

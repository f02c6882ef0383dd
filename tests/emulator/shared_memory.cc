#include "shared_memory.h"

#include <cstdlib>
#include <cstring>
#include <string>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "machine.h"
#include "tsan.h"

namespace switchyard::emulator {
namespace {

constexpr std::size_t kAlignment = 128;
constexpr std::size_t kArenaBytes = 1 << 20;  // more than any GPU has

constexpr std::size_t aligned(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

void SharedMemory::start_block(std::size_t dynamic_bytes, int set) {
  dynamic_bytes_ = dynamic_bytes;
  if (!tsan::kEnabled) return;
  if (!arena_) arena_ = static_cast<char*>(std::aligned_alloc(kAlignment, 2 * kArenaBytes));
  arena_begin_ = static_cast<std::size_t>(set) * kArenaBytes;
  arena_used_ = 0;
}

void SharedMemory::end_block() {
  for (const auto& array : arrays_) release(array);
  for (const auto& array : dynamic_) release(array);
  arrays_.clear();
  dynamic_.clear();
}

void* SharedMemory::array(const void* key, std::size_t bytes) {
  for (const auto& array : arrays_) {
    if (array.key == key) return array.data;
  }
  arrays_.push_back({key, allocate(bytes), bytes});
  return arrays_.back().data;
}

void* SharedMemory::dynamic(std::size_t number, std::size_t bytes, std::size_t end) {
  if (end > dynamic_bytes_)
    fail("takes " + std::to_string(end) + " bytes of dynamic shared memory, but " +
         std::to_string(dynamic_bytes_) + " were launched");
  if (number == dynamic_.size()) dynamic_.push_back({nullptr, allocate(bytes), bytes});
  if (dynamic_[number].bytes != bytes)
    fail("divides dynamic shared memory unlike other threads of its block");
  return dynamic_[number].data;
}

bool SharedMemory::contains(const void* address, std::size_t bytes) const {
  const auto* first = static_cast<const char*>(address);
  const auto inside = [&](const Array& array) {
    return first >= array.data && first + bytes <= array.data + array.bytes;
  };
  for (const auto& array : arrays_) {
    if (inside(array)) return true;
  }
  for (const auto& array : dynamic_) {
    if (inside(array)) return true;
  }
  return false;
}

char* SharedMemory::allocate(std::size_t bytes) {
  const std::size_t whole = aligned(bytes);
  if (tsan::kEnabled) {
    if (arena_used_ + whole > kArenaBytes) fail("takes more shared memory than any GPU has");
    char* data = arena_ + arena_begin_ + arena_used_;
    arena_used_ += whole;
    for (std::size_t i = 0; i < bytes; ++i) static_cast<volatile char*>(data)[i] = static_cast<char>(0xff);
    return data;
  }
  char* data = static_cast<char*>(std::aligned_alloc(kAlignment, whole));
  std::memset(data, 0xff, whole);
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(data + bytes, whole - bytes);
#endif
  return data;
}

void SharedMemory::release(const Array& array) {
  if (tsan::kEnabled) return;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(array.data, aligned(array.bytes));
#endif
  std::free(array.data);
}

}  // namespace switchyard::emulator

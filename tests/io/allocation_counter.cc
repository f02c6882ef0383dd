#include "allocation_counter.h"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> live{0}, most{0};

void* count(void* memory) {
  const auto now = live += static_cast<std::int64_t>(::malloc_usable_size(memory));
  for (std::int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
  }
  return memory;
}

void discount(void* memory) {
  if (memory != nullptr) live -= static_cast<std::int64_t>(::malloc_usable_size(memory));
}

c10::Allocator* original = nullptr;

void discount_and_free(void* memory) {
  discount(memory);
  original->raw_deleter()(memory);
}

class CountingAllocator : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t size) override {
    c10::DataPtr memory = original->allocate(size);
    count(memory.get());
    if (!memory.compare_exchange_deleter(original->raw_deleter(), &discount_and_free)) std::abort();
    return memory;
  }
  c10::DeleterFnPtr raw_deleter() const override { return &discount_and_free; }
  void copy_data(void* target, const void* source, std::size_t size) const override {
    original->copy_data(target, source, size);
  }
};

}  // namespace

// All of them: a sanitizer brings its own for each that is missing here, and then new and delete do not
// match.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  void* memory = std::malloc(size > 0 ? size : 1);
  return memory != nullptr ? count(memory) : nullptr;
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return operator new(size, std::nothrow);
}
void* operator new[](std::size_t size) { return operator new(size); }

void operator delete(void* memory) noexcept {
  discount(memory);
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }
void operator delete[](void* memory) noexcept { operator delete(memory); }
void operator delete[](void* memory, std::size_t) noexcept { operator delete(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { operator delete(memory); }

namespace switchyard::io {

AllocationCounter::AllocationCounter() {
  static CountingAllocator counting;
  if (original == nullptr) original = c10::GetCPUAllocator();
  c10::SetCPUAllocator(&counting);
  most = live.load();
  base_ = live;
}

AllocationCounter::~AllocationCounter() { c10::SetCPUAllocator(original); }

std::size_t AllocationCounter::peak() const { return static_cast<std::size_t>(most - base_); }

}  // namespace switchyard::io

// Counts what this program allocates: operator new (replaced for the whole program) and libtorch's allocator
// of CPU tensors.
#pragma once

#include <cstddef>
#include <cstdint>

namespace switchyard::io {

class AllocationCounter {
 public:
  AllocationCounter();  // begins
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;

  std::size_t peak() const;  // the most bytes at one time since the beginning, beyond those before it

 private:
  std::int64_t base_;
};

}  // namespace switchyard::io

// Runs CUDA kernels on the CPU, for tests: what a test sees of it. What kernels see is cuda.h.
//
// A kernel's threads are fibers, one block after the other, one thread at a time, each until it has to wait.
// What is found on the way, and how:
//   - wrong results under any of the schedules below;
//   - a barrier or a warp operation that not all threads reach, or at different places, a shuffle from a lane
//   outside
//     the mask, cp.async or ldmatrix at a misaligned address or outside the block's shared arrays, too little
//     dynamic shared memory, a copy not waited for, an impossible launch: Error, naming threads and lines;
//   - reads of shared memory that nobody wrote: it is filled with NaN;
//   - accesses outside arrays, shared ones included: under AddressSanitizer;
//   - a missing barrier: wrong results under some schedules, and exactly under ThreadSanitizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace switchyard::emulator {

/// What a kernel or its launch did wrong. The block it happened in is abandoned.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// In which order blocks, warps and lanes run, and when asynchronous copies happen.
struct Schedule {
  enum class Order {
    forward,  // by index; copies happen when they are issued
    reverse,  // by falling index; copies happen when they are waited for
    random,   // warps in random order, lanes in random order within them; copies at either time
  };
  const char* name;
  Order order;
  std::uint64_t seed = 0;
};

/// The schedules that every kernel is tested with. Drawing each next thread uniformly would be too fair: it
/// hides bugs that show when one warp runs far ahead of the others.
inline constexpr Schedule kSchedules[] = {{"forward", Schedule::Order::forward},
                                          {"reverse", Schedule::Order::reverse},
                                          {"random 1", Schedule::Order::random, 1},
                                          {"random 2", Schedule::Order::random, 2},
                                          {"random 3", Schedule::Order::random, 3}};

/// Kernels launched while this lives run in this order; otherwise forward.
class ScopedSchedule {
 public:
  explicit ScopedSchedule(const Schedule& schedule);
  ~ScopedSchedule();
  ScopedSchedule(const ScopedSchedule&) = delete;
  ScopedSchedule& operator=(const ScopedSchedule&) = delete;
};

}  // namespace switchyard::emulator

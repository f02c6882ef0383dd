// A fiber: a stack of its own and the place where it stopped. Switching costs a dozen instructions (about 20
// ns), which is what makes a thousand CUDA threads per block affordable; threads of the system would also
// hide races.
//
// The sanitizers are told of every switch: AddressSanitizer, because stacks have bounds, and ThreadSanitizer,
// for which each fiber is a thread (build with EMULATOR_TSAN; this code itself must then not be
// instrumented).
#pragma once

#include <cstddef>

namespace switchyard::emulator {

inline constexpr std::size_t kStackBytes = 256 * 1024;

struct Fiber {
  char* stack = nullptr;       // kStackBytes; null for the fiber that is the calling thread
  void* stopped_at = nullptr;  // saved stack pointer (or ucontext)
  void* asan_fake_stack = nullptr;
  void* tsan_fiber = nullptr;
};

/// Makes `fiber` begin with entry() on its stack at the next switch. entry must call arrived_first and never
/// return.
void prepare(Fiber& fiber, void (*entry)());

/// Stops `from` (for good if it ends) and continues `to`; returns when somebody switches back.
void switch_fiber(Fiber& from, Fiber& to, bool from_ends);

/// The first call on a fresh fiber.
void arrived_first(Fiber& fiber);

}  // namespace switchyard::emulator

#include "fiber.h"

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#include "tsan.h"

namespace switchyard::emulator {
namespace {

[[maybe_unused]] const void* main_stack_bottom =
    nullptr;  // the calling thread's, learnt at the first switch away from it
[[maybe_unused]] std::size_t main_stack_size = 0;

void arrived([[maybe_unused]] Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
  const void* bottom;
  std::size_t size;
  __sanitizer_finish_switch_fiber(fiber.asan_fake_stack, &bottom, &size);
  if (!main_stack_bottom) {  // the first switch comes from the calling thread
    main_stack_bottom = bottom;
    main_stack_size = size;
  }
#endif
}

}  // namespace

#if defined(__x86_64__)

// void emulator_swap(void** save, void* load): keeps the registers that a call must preserve (System V ABI)
// on the old stack and takes them from the new one.
extern "C" void emulator_swap(void** save, void* load);
asm(R"(
  .text
  .globl emulator_swap
  .type emulator_swap, @function
emulator_swap:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size emulator_swap, . - emulator_swap
)");

namespace {

void set_start(Fiber& fiber, void (*entry)()) {
  void** top = reinterpret_cast<void**>(fiber.stack + kStackBytes);
  *--top = nullptr;  // keeps the stack aligned as after a call, and ends back traces
  *--top = reinterpret_cast<void*>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
  fiber.stopped_at = top;
}

void swap(Fiber& from, Fiber& to) { emulator_swap(&from.stopped_at, to.stopped_at); }

}  // namespace

#else  // any other processor: the C library's contexts, six times slower

namespace {

ucontext_t& context(Fiber& fiber) {
  if (!fiber.stopped_at) fiber.stopped_at = new ucontext_t;  // one per fiber, kept like the fibers themselves
  return *static_cast<ucontext_t*>(fiber.stopped_at);
}

void set_start(Fiber& fiber, void (*entry)()) {
  auto& start = context(fiber);
  getcontext(&start);
  start.uc_stack.ss_sp = fiber.stack;
  start.uc_stack.ss_size = kStackBytes;
  start.uc_link = nullptr;
  makecontext(&start, entry, 0);
}

void swap(Fiber& from, Fiber& to) { swapcontext(&context(from), &context(to)); }

}  // namespace

#endif

void prepare(Fiber& fiber, void (*entry)()) {
  fiber.asan_fake_stack = nullptr;
#if defined(__SANITIZE_ADDRESS__)
  // Frames of a fiber that ended by switching away were never left.
  __asan_unpoison_memory_region(fiber.stack, kStackBytes);
#endif
  set_start(fiber, entry);
}

void switch_fiber(Fiber& from, Fiber& to, [[maybe_unused]] bool from_ends) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.asan_fake_stack,
                                 to.stack ? to.stack : main_stack_bottom,
                                 to.stack ? kStackBytes : main_stack_size);
#endif
  tsan::switch_to(to.tsan_fiber);
  swap(from, to);
  arrived(from);
}

void arrived_first(Fiber& fiber) { arrived(fiber); }

}  // namespace switchyard::emulator

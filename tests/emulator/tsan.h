// ThreadSanitizer's interface for fibers and for explicit order; nothing without EMULATOR_TSAN. The
// emulator's own files are compiled without instrumentation, so that the detector sees the kernels' accesses
// alone, and is told here what orders them.
#pragma once

#include <cstddef>

#ifdef EMULATOR_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* token);
void __tsan_release(void* token);
void __tsan_read_range(void* address, unsigned long size);
void __tsan_write_range(void* address, unsigned long size);
}
#endif

namespace switchyard::emulator::tsan {

#ifdef EMULATOR_TSAN

inline constexpr bool kEnabled = true;
inline void* current() { return __tsan_get_current_fiber(); }
inline void* create() { return __tsan_create_fiber(0); }
inline void switch_to(void* fiber) { __tsan_switch_to_fiber(fiber, /*no order by the switch=*/1); }
inline void acquire(void* token) { __tsan_acquire(token); }
inline void release(void* token) { __tsan_release(token); }
inline void read(const void* address, std::size_t size) {
  if (size) __tsan_read_range(const_cast<void*>(address), size);
}
inline void write(void* address, std::size_t size) {
  if (size) __tsan_write_range(address, size);
}

#else

inline constexpr bool kEnabled = false;
inline void* current() { return nullptr; }
inline void* create() { return nullptr; }
inline void switch_to(void*) {}
inline void acquire(void*) {}
inline void release(void*) {}
inline void read(const void*, std::size_t) {}
inline void write(void*, std::size_t) {}

#endif

}  // namespace switchyard::emulator::tsan

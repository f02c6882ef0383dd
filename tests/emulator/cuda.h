// What a kernel sees of CUDA when the emulator runs it; kernels/cuda/device.h includes this instead of the
// toolkit's headers, so that neither a GPU nor the toolkit is needed.
#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "kernels/cuda/types.h"
#include "machine.h"

#define __global__
#define __device__
#define __host__
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

// A block's static array, as in `__shared__ float name[count]`.
#define SHARED_ARRAY(type, name, count) \
  static constexpr char name##_key = 0; \
  using name##_array = type[count];     \
  name##_array& name =                  \
      *static_cast<name##_array*>(::switchyard::emulator::shared_array(&name##_key, sizeof(name##_array)))

// Barriers and warp operations name the line that called them.
#define EMULATOR_PLACE const ::switchyard::emulator::Place& place = ::switchyard::emulator::Place::current()

inline constexpr unsigned kFullWarp = 0xffffffff;

inline void __syncthreads(EMULATOR_PLACE) { switchyard::emulator::block_barrier(0, place); }
inline int __syncthreads_count(int predicate, EMULATOR_PLACE) {
  return switchyard::emulator::block_barrier(predicate != 0, place);
}
inline void __syncwarp(unsigned mask = kFullWarp, EMULATOR_PLACE) {
  switchyard::emulator::warp_operation(mask, switchyard::emulator::warp_sync, {}, 0, /*orders_memory=*/true,
                                       place);
}

namespace switchyard::emulator {

template <class T>
T shuffle(unsigned mask, T value, int source, const Place& place) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  T result;
  warp_operation(mask, warp_shuffle, {&value, &result, source}, sizeof(T), false, place);
  return result;
}

}  // namespace switchyard::emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, EMULATOR_PLACE) {
  return switchyard::emulator::shuffle(mask, value, source & 31, place);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int other, EMULATOR_PLACE) {
  return switchyard::emulator::shuffle(mask, value, switchyard::emulator::lane_index() ^ other, place);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, EMULATOR_PLACE) {
  const int lane = switchyard::emulator::lane_index(), source = lane - static_cast<int>(delta);
  return switchyard::emulator::shuffle(mask, value, source < 0 ? lane : source, place);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_PLACE) {
  unsigned votes;
  switchyard::emulator::warp_operation(mask, switchyard::emulator::warp_ballot,
                                       {nullptr, &votes, predicate != 0}, 0, false, place);
  return votes;
}
inline int __any_sync(unsigned mask, int predicate, EMULATOR_PLACE) {
  return __ballot_sync(mask, predicate, place) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATOR_PLACE) {
  return __ballot_sync(mask, predicate, place) == mask;
}

// One fiber runs at a time, so any read-modify-write is whole; these are atomic for ThreadSanitizer's sake.
template <class T>
requires std::integral<T> T atomicAdd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
inline float atomicAdd(float* address, float value) {
  auto* bits = reinterpret_cast<std::uint32_t*>(address);
  std::uint32_t old = __atomic_load_n(bits, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(bits, &old,
                                      std::bit_cast<std::uint32_t>(std::bit_cast<float>(old) + value), false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return std::bit_cast<float>(old);
}

inline int __popc(unsigned x) { return std::popcount(x); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
template <class T>
T __ldg(const T* address) {
  return *address;
}

namespace switchyard::kernels::cuda {

struct bf16 {
  std::uint16_t bits;
};

inline float to_float(bf16 x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

inline bf16 to_bf16(float x) {  // to nearest, ties to even; NaN stays NaN
  const auto bits = std::bit_cast<std::uint32_t>(x);
  if (x != x) return {static_cast<std::uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

// Pieces of the block's dynamic shared memory, each aligned to 128 bytes; here each is a heap block of its
// own.
class DynamicShared {
 public:
  template <class T>
  T* take(int count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    end_ = (end_ + 127) / 128 * 128 + bytes;
    return static_cast<T*>(emulator::dynamic_shared(number_++, bytes, end_));
  }

 private:
  int number_ = 0;
  std::size_t end_ = 0;
};

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, Stream,
            const Arguments&... arguments) {
  struct Call {
    void (*kernel)(Parameters...);
    std::tuple<Parameters...> arguments;
  } call{kernel, {arguments...}};
  emulator::run_grid(
      grid, block, shared_bytes,
      [](void* opaque) {
        const auto* c = static_cast<const Call*>(opaque);
        std::apply(c->kernel, c->arguments);
      },
      &call);
}

inline void clear(void* address, std::size_t bytes, Stream) { std::memset(address, 0, bytes); }

inline void copy_async_16(void* to, const void* from, bool copies, EMULATOR_PLACE) {
  if (copies) {  // read here as well: AddressSanitizer names this line when the source is out of bounds
    [[maybe_unused]] const volatile char first = *static_cast<const volatile char*>(from);
    [[maybe_unused]] const volatile char last = static_cast<const volatile char*>(from)[15];
  }
  emulator::copy_async(to, from, 16, copies ? 16 : 0, place);
}
inline void commit_copies() { emulator::commit_copies(); }
template <int kGroupsLeft>
void wait_copies() {
  emulator::wait_copies(kGroupsLeft);
}

// `row` of 16 bytes in shared memory, seen by the sanitizers as this lane's reads.
inline void read_matrix_row(const void* row, const emulator::Place& place) {
  emulator::check_shared(row, 16, "ldmatrix", place);
  for (int i = 0; i < 4; ++i) {
    [[maybe_unused]] const volatile auto read = static_cast<const volatile std::uint32_t*>(row)[i];
  }
}

template <int kMatrices>
void load_matrices(std::uint32_t (&fragment)[kMatrices], const void* row, EMULATOR_PLACE) {
  if (emulator::lane_index() < 8 * kMatrices) read_matrix_row(row, place);
  emulator::warp_operation(kFullWarp, emulator::warp_load_matrices<kMatrices>, {row, fragment, 0}, 0, false,
                           place);
}

inline void load_matrices_transposed(std::uint32_t (&fragment)[4], const void* row, EMULATOR_PLACE) {
  read_matrix_row(row, place);
  emulator::warp_operation(kFullWarp, emulator::warp_load_matrices_transposed, {row, fragment, 0}, 0, false,
                           place);
}

inline void multiply_add(float (&d)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                         EMULATOR_PLACE) {
  const std::uint32_t operands[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
  emulator::warp_operation(kFullWarp, emulator::warp_mma_bf16_m16n8k16, {operands, d, 0}, 0, false, place);
}

}  // namespace switchyard::kernels::cuda

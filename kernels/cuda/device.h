// The one header that the kernels' sources include: CUDA as nvcc compiles it, or the emulator's
// (tests/emulator), which runs the same sources on the CPU. What a source may use is what both have:
//   - SHARED_ARRAY and DynamicShared for shared memory, launch() instead of <<<>>>, UNROLL;
//   - __syncthreads, __syncthreads_count, __syncwarp, __shfl_*_sync, __ballot_sync, atomicAdd, rsqrtf,
//   __expf, ...;
//   - copy_async_16, load_matrices, load_matrices_transposed, multiply_add: the only PTX.
// Rules that keep the emulator's verdict true: only whole blocks return early; full-warp operations stand
// outside of conditions that divide a warp; block sizes are multiples of 32; blocks never wait for each
// other; offsets are 64 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "kernels/cuda/types.h"

#ifdef SWITCHYARD_EMULATED
#include "emulator/cuda.h"
#else

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#define SHARED_ARRAY(type, name, count) __shared__ type name[count]
#define UNROLL _Pragma("unroll")

inline constexpr unsigned kFullWarp = 0xffffffff;

namespace switchyard::kernels::cuda {

using bf16 = __nv_bfloat16;

__device__ __forceinline__ float to_float(bf16 x) { return __bfloat162float(x); }
__device__ __forceinline__ bf16 to_bf16(float x) { return __float2bfloat16_rn(x); }

class DynamicShared {
 public:
  template <class T>
  __device__ __forceinline__ T* take(int count) {
    extern __shared__ __align__(128) unsigned char dynamic_shared_memory[];
    const std::size_t begin = (end_ + 127) / 128 * 128;
    end_ = begin + static_cast<std::size_t>(count) * sizeof(T);
    return reinterpret_cast<T*>(dynamic_shared_memory + begin);
  }

 private:
  std::size_t end_ = 0;
};

inline void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes, Stream stream,
            const Arguments&... arguments) {
  constexpr std::size_t kAlwaysAllowed = 48 * 1024;
  if (shared_bytes > kAlwaysAllowed)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes)),
          "shared memory of a kernel");
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  check(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...), "launch of a kernel");
}

inline void clear(void* address, std::size_t bytes, Stream stream) {
  check(cudaMemsetAsync(address, 0, bytes, stream), "clearing memory");
}

__device__ __forceinline__ std::uint32_t shared_address(const void* address) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(address));
}

// 16 bytes from global to shared memory, both aligned to 16; zeros unless `copies`.
__device__ __forceinline__ void copy_async_16(void* to, const void* from, bool copies) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(copies ? 16 : 0)
               : "memory");
}
__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most kGroupsLeft of this thread's committed groups are under way.
template <int kGroupsLeft>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
}

// ldmatrix: lane 8 q + i names row i (8 x 16 bits, in shared memory) of matrix q; each lane receives two
// neighbouring elements of every matrix, as multiply_add wants them.
template <int kMatrices>
__device__ __forceinline__ void load_matrices(std::uint32_t (&fragment)[kMatrices], const void* row) {
  static_assert(kMatrices == 4);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared_address(row))
               : "memory");
}

// The same of each matrix's transpose: the rows in shared memory are its columns.
__device__ __forceinline__ void load_matrices_transposed(std::uint32_t (&fragment)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(fragment[0]), "=r"(fragment[1]), "=r"(fragment[2]), "=r"(fragment[3])
               : "r"(shared_address(row))
               : "memory");
}

// d [16, 8] += a [16, 16] b [16, 8], bf16 with fp32 sums, one fragment per lane.
__device__ __forceinline__ void multiply_add(float (&d)[4], const std::uint32_t (&a)[4],
                                             const std::uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace switchyard::kernels::cuda
#endif

namespace switchyard::kernels::cuda {

__device__ __forceinline__ float to_float(float x) { return x; }

template <class T>
__device__ __forceinline__ T from_float(float x) {
  if constexpr (std::is_same_v<T, float>)
    return x;
  else
    return to_bf16(x);
}

__device__ __forceinline__ int thread() { return static_cast<int>(threadIdx.x); }
__device__ __forceinline__ int lane() { return thread() & 31; }
__device__ __forceinline__ int warp() { return thread() >> 5; }

__device__ __forceinline__ float warp_sum(float x) {
  for (int other = 16; other > 0; other >>= 1) x += __shfl_xor_sync(kFullWarp, x, other);
  return x;
}

inline unsigned blocks_for(std::int64_t items, std::int64_t per_block) {
  const std::int64_t blocks = (items + per_block - 1) / per_block;
  if (blocks > 0x7fffffff)
    throw std::invalid_argument("too many elements for one kernel: " + std::to_string(items));
  return static_cast<unsigned>(blocks);
}

inline void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace switchyard::kernels::cuda

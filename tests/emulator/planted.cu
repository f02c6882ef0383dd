#include "emulator/planted.h"
#include "kernels/cuda/device.h"

namespace switchyard::kernels::cuda::planted {
namespace {

__global__ void block_sums_kernel(const float* in, float* out, bool with_barrier) {
  SHARED_ARRAY(float, partial, 4);
  const float sum = warp_sum(in[blockIdx.x * 128 + threadIdx.x]);
  if (lane() == 0) partial[warp()] = sum;
  if (with_barrier) __syncthreads();
  out[blockIdx.x * 128 + threadIdx.x] = partial[0] + partial[1] + partial[2] + partial[3];
}

__global__ void row_sums_kernel(const float* in, std::int64_t stride, int width, float* out) {
  const float* row = in + blockIdx.x * stride;
  float sum = 0;
  for (int i = lane(); i < width; i += 32) sum += row[i];
  sum = warp_sum(sum);
  if (lane() == 0) out[blockIdx.x] = sum;
}

__global__ void row_sums_through_shared_kernel(const float* in, std::int64_t stride, int width, int read,
                                               float* out) {
  DynamicShared shared;
  auto* row = shared.take<float>((width + 3) / 4 * 4);
  for (int i = 4 * lane(); i < width; i += 128) copy_async_16(row + i, in + blockIdx.x * stride + i, true);
  commit_copies();
  wait_copies<0>();
  __syncthreads();
  float sum = 0;
  for (int i = lane(); i < read; i += 32) sum += row[i];
  sum = warp_sum(sum);
  if (lane() == 0) out[blockIdx.x] = sum;
}

__global__ void count_threads_kernel(int* count, bool atomically) {
  if (atomically)
    atomicAdd(count, 1);
  else
    *count += 1;
}

__global__ void operations_kernel(Operations* out) {
  const int i = thread();
  out->shuffled[i] = __shfl_sync(kFullWarp, i, 5);
  out->exchanged[i] = __shfl_xor_sync(kFullWarp, i, 3);
  out->moved_up[i] = __shfl_up_sync(kFullWarp, i, 2);
  out->votes[i] = __ballot_sync(kFullWarp, i % 3 == 0);
  out->barrier_count[i] = __syncthreads_count(i % 3 == 0);
}

__global__ void warp_product_kernel(const bf16* a, const bf16* b, float* d, bool transposed) {
  SHARED_ARRAY(bf16, left, 16 * 24);  // rows of 24: 16 values and padding
  SHARED_ARRAY(bf16, right, 16 * 24);
  for (int i = lane(); i < 16 * 16; i += 32) {
    const int row = i / 16, column = i % 16;
    left[row * 24 + column] = a[i];
    if (transposed)
      right[row * 24 + column] = column < 8 ? b[row * 8 + column] : to_bf16(0);
    else
      right[row * 24 + column] = row < 8 ? b[i] : to_bf16(0);
  }
  __syncwarp();
  const int half = lane() / 8 % 2 * 8, other_half = lane() / 16 * 8;
  std::uint32_t fragment_a[4], fragment_b[4];
  if (transposed) {
    load_matrices_transposed(fragment_a, left + (other_half + lane() % 8) * 24 + half);
    load_matrices_transposed(fragment_b, right + (half + lane() % 8) * 24 + other_half);
  } else {
    load_matrices(fragment_a, left + (half + lane() % 8) * 24 + other_half);
    load_matrices(fragment_b, right + (other_half + lane() % 8) * 24 + half);
  }
  const std::uint32_t first[2] = {fragment_b[0], fragment_b[1]};
  float sum[4] = {};
  multiply_add(sum, fragment_a, first);
  for (int i = 0; i < 4; ++i) d[(lane() / 4 + i / 2 * 8) * 8 + lane() % 4 * 2 + i % 2] = sum[i];
}

__global__ void mistake_kernel(Mistake mistake, const float* in, float* out) {
  SHARED_ARRAY(float, shared, 128);
  DynamicShared dynamic;
  const int i = thread();
  switch (mistake) {
    case Mistake::barrier_in_a_branch:
      if (i < 32)
        __syncthreads();
      else
        __syncthreads_count(1);
      break;
    case Mistake::early_exit:
      if (i >= 33) return;
      __syncthreads();
      break;
    case Mistake::shuffle_in_a_branch:
      if (i % 2) out[i] = __shfl_xor_sync(kFullWarp, out[i], 1);
      break;
    case Mistake::shuffle_from_outside:
      if (i < 16) out[i] = __shfl_sync(0xffff, out[i], 20);
      break;
    case Mistake::missing_lanes:
      out[i] = warp_sum(out[i]);
      break;
    case Mistake::too_little_shared:
      out[i] = dynamic.take<float>(65)[0];
      break;
    case Mistake::copy_not_awaited:
      copy_async_16(shared, in, true);
      commit_copies();
      break;
    case Mistake::copy_misaligned:
      copy_async_16(shared + 1, in, true);
      break;
    case Mistake::wait_too_weak:
      copy_async_16(shared + 4 * (i % 32), in + 4 * (i % 32), true);
      commit_copies();
      wait_copies<1>();
      __syncthreads();
      out[i] = shared[i];
      wait_copies<0>();
      break;
    default:
      break;
  }
}

}  // namespace

void block_sums(const float* in, float* out, int blocks, bool with_barrier) {
  launch(block_sums_kernel, static_cast<unsigned>(blocks), 128, 0, {}, in, out, with_barrier);
}

void row_sums(const float* in, std::int64_t stride, int rows, int width, float* out, bool off_by_one) {
  launch(row_sums_kernel, static_cast<unsigned>(rows), 32, 0, {}, in, stride, width + off_by_one, out);
}

void row_sums_through_shared(const float* in, std::int64_t stride, int rows, int width, float* out,
                             bool off_by_one) {
  launch(row_sums_through_shared_kernel, static_cast<unsigned>(rows), 32, 128 * sizeof(float), {}, in, stride,
         width, width + off_by_one, out);
}

void count_threads(int* count, int blocks, bool atomically) {
  launch(count_threads_kernel, static_cast<unsigned>(blocks), 64, 0, {}, count, atomically);
}

void operations(Operations* out) { launch(operations_kernel, 1, 64, 0, {}, out); }

void warp_product(const void* a, const void* b, float* d, bool transposed) {
  launch(warp_product_kernel, 1, 32, 0, {}, static_cast<const bf16*>(a), static_cast<const bf16*>(b), d,
         transposed);
}

void make(Mistake mistake, const float* in, float* out) {
  const unsigned threads = mistake == Mistake::missing_lanes ? 40
                           : mistake == Mistake::large_block ? 1025
                                                             : 64;
  launch(mistake_kernel, mistake == Mistake::empty_grid ? 0 : 1, threads, 64 * sizeof(float), {}, mistake, in,
         out);
}

}  // namespace switchyard::kernels::cuda::planted

// Small kernels with and without a mistake, for the tests of the emulator itself.
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda::planted {

/// out[b * 128 + i] = sum of in[b * 128 .. + 127]. Without the barrier, threads read partial sums that others
/// have not written.
void block_sums(const float* in, float* out, int blocks, bool with_barrier);

/// out[r] = sum of the row's `width` elements; one too many when `off_by_one`.
void row_sums(const float* in, std::int64_t stride, int rows, int width, float* out, bool off_by_one);

/// The same with the row copied asynchronously to shared memory, which is read one element too far when
/// `off_by_one`. width <= 128, rows aligned to 16 bytes.
void row_sums_through_shared(const float* in, std::int64_t stride, int rows, int width, float* out,
                             bool off_by_one);

/// counts[0] += threads, by an atomic or by plain additions.
void count_threads(int* count, int blocks, bool atomically);

/// Every thread's result of each warp and block operation, as documented by CUDA.
struct Operations {
  int shuffled[64], exchanged[64], moved_up[64];
  unsigned votes[64];
  int barrier_count[64];
};
void operations(Operations* out);

/// The product of one warp: d [16, 8] = a [16, 16] b [8, 16]^T, row-major bf16, through load_matrices and
/// multiply_add; `transposed`: a is given as [16, 16]^T and b as [16, 8], through load_matrices_transposed.
void warp_product(const void* a, const void* b, float* d, bool transposed);

/// What a kernel or launch can do wrong, each reported by an Error.
enum class Mistake {
  barrier_in_a_branch,   // half of the threads wait at one barrier, half at another
  early_exit,            // some threads end, the others wait
  shuffle_in_a_branch,   // with the full mask
  shuffle_from_outside,  // from a lane that the mask does not name
  missing_lanes,         // a full mask in a block of 40 threads
  too_little_shared,     // more dynamic shared memory than launched
  copy_not_awaited,
  copy_misaligned,
  wait_too_weak,  // no error: out is filled from a copy that may not have happened
  empty_grid,
  large_block,
};
void make(Mistake mistake, const float* in, float* out);

}  // namespace switchyard::kernels::cuda::planted

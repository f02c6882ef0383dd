// The element-wise kernels around the transformer.
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

/// Sinusoidal timestep embedding (DiT): y[n] = [cos(t_n w_i), sin(t_n w_i)], w_i = 10000^(-i / (half - shift)),
/// i < half.
struct TimestepEmbedding {
  std::int64_t count;
  int half;
  const float* t;  // [count]
  float* y;        // [count, 2 * half]
  std::int64_t y_stride;
  int shift = 0;  // below half
};

void timestep_embedding(const TimestepEmbedding& arguments, Stream stream);

/// Switch-DiT's and DTR's split of a block's input by a mask (kernels/experts/expert_mask.h):
///   task = x * m;   shared = x - task
struct MaskSplit {
  DType dtype;  // of all arrays
  std::int64_t rows;
  std::int64_t rows_per_mask;  // so many neighbouring rows of x share a row of the mask: 1, or an image's
  int width;
  const void *x, *mask;  // [rows, width], [rows / rows_per_mask, width]
  std::int64_t x_stride, mask_stride;
  void *task, *shared;  // [rows, width]
  std::int64_t task_stride, shared_stride;
};

void split_by_mask(const MaskSplit& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

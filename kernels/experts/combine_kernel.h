// Each token's weighted sum of its experts' rows, in slot order with fp32 sums, and the way back: no atomics,
// so results repeat.
//
//   combine           y[t] = sum_j weights[t, j] * rows[position[t * k + j]]
//   combine_backward  d_rows[position[t * k + j]] = weights[t, j] * dy[t]
//                     d_weights[t, j] = sum_i dy[t, i] * rows[position[t * k + j], i]
//
//   rows, d_rows   [rows, width]        rows of dtype, sorted by expert
//   y, dy          [tokens, width]      rows of dtype
//   position       [tokens * k] int32, every row once; -1 is an empty slot: left out, its d_weights are 0
//   weights        [tokens, k] fp32; null in combine: all are 1
//   d_weights      [tokens, k] fp32
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

struct Combine {
  DType dtype;
  std::int64_t tokens;
  int width, k;
  const void* rows;
  std::int64_t rows_stride;
  const std::int32_t* position;
  const float* weights;
  void* y;
  std::int64_t y_stride;
};

struct CombineBackward {
  DType dtype;
  std::int64_t tokens;
  int width, k;
  const void* rows;
  std::int64_t rows_stride;
  const std::int32_t* position;
  const float* weights;
  const void* dy;
  std::int64_t dy_stride;
  void* d_rows;
  std::int64_t d_rows_stride;
  float* d_weights;
};

void combine(const Combine& arguments, Stream stream);
void combine_backward(const CombineBackward& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

// Each token's weighted sum of its experts' rows, in slot order with fp32 sums: no atomics, so results
// repeat.
//
//   y[t] = sum_j weights[t, j] * rows[position[t * k + j]]
//
//   rows  [tokens * k, width], dtype, sorted by expert     position  [tokens * k] int32     weights  [tokens,
//   k] fp32 y     [tokens, width], dtype
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

void combine(const Combine& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

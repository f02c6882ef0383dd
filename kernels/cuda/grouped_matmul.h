// The experts' matrix products, all experts in one launch (bf16 with fp32 sums, tensor cores of sm_80 and
// later).
//
//   rows r in begin[e] .. begin[e + 1] - 1 belong to expert e; x_r = x[token_of[r]], or x[r] when token_of is
//   null grouped_swiglu:  y[r] = silu(x_r G_e^T) * (x_r U_e^T),   weight_e = G_e over U_e grouped_linear:
//   y[r] = x_r W_e^T
//
//   x       [any, in] bf16      weight  [experts, 2 * out, in] (swiglu) or [experts, out, in] (linear), bf16,
//   contiguous begin   [experts + 1] int32, token_of [rows] int32, on the device: experts with 0 rows are
//   fine y       [rows, out] bf16
//
// in, out and the strides are multiples of 8, and x, weight, y aligned to 16 bytes: rows are copied in such
// pieces. A row's result does not depend on the other rows.
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

struct GroupedMatmul {
  std::int64_t rows;
  int experts, in, out;
  const void* x;
  std::int64_t x_stride;
  const void* weight;
  const std::int32_t *begin, *token_of;
  void* y;
  std::int64_t y_stride;
};

void grouped_swiglu(const GroupedMatmul& arguments, Stream stream);
void grouped_linear(const GroupedMatmul& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

// The gradients of the experts' weights, all experts in one launch (bf16 with fp32 sums, tensor cores of
// sm_80 and later): a product whose inner dimension is the rows of the expert, which only the device can
// count.
//
//   dw_e = sum over r in begin[e] .. begin[e + 1] - 1 of dy[r]^T x_r
//   x_r = x[token_of[r]], or x[r] when token_of is null
//
//   dy        [rows, out]           rows of bf16
//   x         [any, in]             rows of bf16
//   begin     [experts + 1] int32, token_of [rows] int32
//   dw        [experts, out, in]    bf16, contiguous; zeros for an expert without rows
//
// in, out and the strides are multiples of 8, and the matrices aligned to 16 bytes. The sum goes over the
// rows in their order, in steps of 16: no atomics, so results repeat.
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

struct GroupedGradient {
  int experts, in, out;
  const void* dy;
  std::int64_t dy_stride;
  const void* x;
  std::int64_t x_stride;
  const std::int32_t *begin, *token_of;
  void* dw;
};

void grouped_gradient(const GroupedGradient& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

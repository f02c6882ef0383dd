// The experts' matrix products on rows, all experts in one launch (bf16 with fp32 sums, tensor cores of sm_80
// and later). Rows r in begin[e] .. begin[e + 1] - 1 belong to expert e; x_r = x[token_of[r]], or x[r] when
// token_of is null.
//
//   grouped_swiglu           y[r] = silu(x_r G_e^T) * (x_r U_e^T), weight_e = G_e over U_e; x_r G_e^T and
//                            x_r U_e^T, side by side, are kept in gate_up[r] unless that is null
//   grouped_linear           y[r] = x_r W_e^T
//   grouped_linear_backward  y[r] = x_r W_e: from the gradient of grouped_linear's result to that of its rows
//   grouped_swiglu_backward  the same, and on through the activation: h = x_r W_e is the gradient of
//                            silu(g) * u, gate_up[r] = (g, u), and y[r] = (h * u * silu'(g), h * silu(g))
//
//   x         [any, in]           rows of bf16
//   weight    [experts, ...]      bf16, contiguous: [2 out, in] (swiglu), [out, in] (linear), [in, out]
//   gate_up   [rows, 2 out]       rows of bf16; null in grouped_linear and its backward
//   y         [rows, out]         rows of bf16; [rows, 2 out] in grouped_swiglu_backward
//   begin     [experts + 1]       int32; experts with 0 rows are fine
//   token_of  [rows]              int32
//
// in, out and the strides are multiples of 8, and the matrices aligned to 16 bytes: rows are copied in such
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
  void* gate_up = nullptr;  // written by grouped_swiglu, read by its backward
  std::int64_t gate_up_stride = 0;
};

void grouped_swiglu(const GroupedMatmul& arguments, Stream stream);
void grouped_linear(const GroupedMatmul& arguments, Stream stream);
void grouped_linear_backward(const GroupedMatmul& arguments, Stream stream);
void grouped_swiglu_backward(const GroupedMatmul& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

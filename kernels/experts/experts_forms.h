// The forms of the routed experts that experts.cc chooses from, and the passes over rows that they share;
// what they compute is in experts.h.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "kernels/cuda/backend.h"
#include "kernels/routing/routing.h"

namespace switchyard::kernels {

// Sorted by expert, one product per expert; any device and float dtype, with gradient.
at::Tensor routed_experts_sorted(const at::Tensor& x, const Routing& routing, const at::Tensor& gate_up,
                                 const at::Tensor& down);

// On a GPU in bf16, all experts in one launch and all sizes on the device, with gradient. The operands fit
// when their sizes, strides and addresses let rows be copied in pieces of 8 elements.
bool suits_grouped_kernels(const at::Tensor& x, const at::Tensor& gate_up, const at::Tensor& down);
at::Tensor routed_experts_cuda(const cuda::Backend& kernels, const at::Tensor& x, const Routing& routing,
                               const at::Tensor& gate_up, const at::Tensor& down);

// silu(gate) * up of gate_up [R, 2H], and its gradient.
at::Tensor activation(const at::Tensor& gate_up);
at::Tensor activation_backward(const at::Tensor& gate_up, const at::Tensor& dh);

// rows [R, D] in sorted order, weights [T, k] -> [T, D]: each token sums its rows in slot order.
at::Tensor weighted_combine(const at::Tensor& rows, const at::Tensor& position, const at::Tensor& weights);

// The way back through weighted_combine: {d_rows, d_weights}; rows that only fill up get zero.
std::pair<at::Tensor, at::Tensor> combine_backward(const at::Tensor& rows, const at::Tensor& position,
                                                   const at::Tensor& token, const at::Tensor& weights,
                                                   const at::Tensor& dy);

// multiply(expert, first, last) for each expert that has rows, of ExpertOrder::begin.
template <class Multiply>
void for_each_expert(const std::vector<int64_t>& begin, Multiply multiply) {
  for (size_t e = 0; e + 1 < begin.size(); ++e) {
    if (begin[e + 1] > begin[e]) multiply(static_cast<int64_t>(e), begin[e], begin[e + 1]);
  }
}

}  // namespace switchyard::kernels

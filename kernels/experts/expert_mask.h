// The soft mask of Switch-DiT (Park et al. 2024, "Switch Diffusion Transformer"): experts picked per image,
// by its timestep, say how much of each number goes through a block.
//
//   m_n = 1 + sum_j w_nj (x_n W_{e_nj} + b_{e_nj}),   j = 1 .. k;   the block works on x * m, x - x * m
//   goes around it.
//
//   x        [N, T, D]   fp32 or bf16
//   routing  of N rows, one per image: experts [N, k], gate_weights [N, k]
//   weight   [E, D, D]   stored (in, out), not transposed; same dtype as x
//   bias     [E, D]
//   m        [N, T, D]
//
// A sum of linear maps is a linear map: expert_mask folds an image's experts into one matrix first, which
// takes k D^2 operations beside the T D^2 of the product and saves k - 1 of k products. With gradient.
// expert_mask_reference goes expert by expert: the oracle.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/linear/linear.h"
#include "kernels/routing/routing.h"

namespace switchyard::kernels {

at::Tensor expert_mask_reference(const at::Tensor& x, const Routing& routing, const at::Tensor& weight,
                                 const at::Tensor& bias);

at::Tensor expert_mask(const at::Tensor& x, const Routing& routing, const at::Tensor& weight,
                       const at::Tensor& bias);

/// One row of a routing (experts [k], gate_weights [k]) as the linear layer that computes its m, for
/// inference: a row of x gives the same m whatever is multiplied beside it. Folded in fp32, then rounded to
/// the dtype of `weight`.
PackedLinear fold_experts(const at::Tensor& experts, const at::Tensor& gate_weights, const at::Tensor& weight,
                          const at::Tensor& bias);

/// What goes through a block, and what goes around it.
struct MaskSplit {
  at::Tensor task;    // x * m
  at::Tensor shared;  // x - task
};

/// x [N, T, D], m [N, T, D] or [N, 1, D], fp32 or bf16. With gradient.
MaskSplit split_by_mask(const at::Tensor& x, const at::Tensor& m);

}  // namespace switchyard::kernels

// Routed SwiGLU experts: each token's chosen experts (top-k or any other routing, kernels/routing/routing.h), weighted by the gate and summed (DiT-MoE, eq. 1).
//
//   y_t = sum_j w_tj * E_{e_tj}(x_t),   E_e(x) = (silu(x G_e^T) * (x U_e^T)) D_e^T
//
//   x        [T, D]        fp32 or bf16
//   gate_up  [E, 2H, D]    G_e over U_e, same dtype
//   down     [E, D, H]
//   y        [T, D]        the dtype of x
//
// The tokens are sorted by expert once; each expert then multiplies its rows as one matrix (0 rows are fine),
// and each token sums its results in slot order, whatever the order in which experts finished. On a GPU in
// bf16, where the sizes are multiples of 8, all experts share each launch and nothing waits for the GPU,
// forward and backward (experts_cuda.cc).
//
// routed_experts_reference evaluates every expert on every token: slow, plain, differentiable by
// construction, the oracle. routed_experts is what training uses (its gradient is written out). PackedExperts
// is for inference.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/linear/linear.h"
#include "kernels/routing/routing.h"

namespace switchyard::kernels {

at::Tensor routed_experts_reference(const at::Tensor& x, const Routing& routing, const at::Tensor& gate_up,
                                    const at::Tensor& down);

at::Tensor routed_experts(const at::Tensor& x, const Routing& routing, const at::Tensor& gate_up,
                          const at::Tensor& down);

/// One dense SwiGLU network (the shared expert): gate_up [2H, D], down [D, H], any leading shape of x. With
/// gradient.
at::Tensor swiglu(const at::Tensor& x, const at::Tensor& gate_up, const at::Tensor& down);

/// A SwiGLU network in its fast form for inference.
class PackedSwiGlu {
 public:
  PackedSwiGlu() = default;
  PackedSwiGlu(const at::Tensor& gate_up, const at::Tensor& down, Packing packing = {});
  at::Tensor operator()(const at::Tensor& x) const;

 private:
  PackedLinear gate_, up_, down_;
  Int8SwiGlu int8_;  // instead of these with Products::int8
};

/// The routed experts in their fast form for inference.
class PackedExperts {
 public:
  PackedExperts() = default;
  PackedExperts(const at::Tensor& gate_up, const at::Tensor& down, Packing packing = {});
  at::Tensor operator()(const at::Tensor& x, const Routing& routing) const;

  bool defined() const { return !experts_.empty(); }

 private:
  at::Tensor gate_up_, down_;  // as given, for the CUDA kernels; undefined elsewhere
  std::vector<PackedSwiGlu> experts_;
};

}  // namespace switchyard::kernels

// Token routing: every token picks the k experts of largest probability, and the tokens are put in order of
// expert.
//
// Softmax top-k gate as in DiT-MoE (Fei et al. 2024, eq. 2; the gate of DeepSeekMoE without renormalisation):
//   p = softmax(logits);  the k largest p_e, in descending order, are the chosen experts' gate weights.
// Of equal probabilities the expert of lower index wins. Nothing is dropped: an expert takes as many tokens
// as chose it.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/linear/linear.h"

namespace switchyard::kernels {

struct Routing {
  at::Tensor probabilities;  // [T, E] fp32, carries a gradient
  at::Tensor experts;        // [T, k] int64, by falling probability
  at::Tensor gate_weights;   // [T, k] fp32, carries a gradient
};

/// logits [T, E] of any float dtype, 1 <= k <= E.
Routing route_top_k(const at::Tensor& logits, int64_t k);

/// The gate before it: logits = x gate^T, computed in fp32 whatever the dtype, because the choice is
/// discontinuous. x [T, D] and gate [E, D] of any float dtype.
Routing route_tokens(const at::Tensor& x, const at::Tensor& gate, int64_t k);

/// route_tokens with the gate in its fast form for inference.
class PackedGate {
 public:
  PackedGate() = default;
  explicit PackedGate(const at::Tensor& gate);
  Routing operator()(const at::Tensor& x, int64_t k) const;

  bool defined() const { return gate_.defined(); }

 private:
  at::Tensor gate_;      // as given, for the CUDA kernel
  PackedLinear packed_;  // in fp32, for everything else
};

/// Each expert's rows are filled up to a multiple of this. Libraries compile (and cache) a kernel per matrix
/// shape, and without it every step would bring shapes never seen before.
inline constexpr int64_t kRowTile = 16;

/// The rows (token, slot) of a routing sorted by expert; rows of one expert keep their order.
struct ExpertOrder {
  at::Tensor token;     // [R] int64: the token of each sorted row; token 0 in the rows that only fill up
  at::Tensor position;  // [T * k] int64: where row (token, slot) = token * k + slot went
  std::vector<int64_t>
      begin;  // [E + 1]: expert e has the sorted rows begin[e] .. begin[e + 1] - 1; begin[E] = R
};

/// experts [T, k] int64 with values in 0 .. num_experts - 1.
ExpertOrder order_by_expert(const at::Tensor& experts, int64_t num_experts);

/// How many (token, slot) chose each expert: [E] int64, on the device of the routing, without waiting for it.
at::Tensor expert_choices(const Routing& routing);

/// Load-balance loss of one layer (Switch Transformer; DiT-MoE, eq. 5): E * sum_e f_e P_e, where f_e is the
/// share of the choices that went to expert e and P_e its mean probability over all tokens. 1 when balanced.
/// `choices` are the routing's expert_choices(). Scalar with gradient.
at::Tensor balance_loss(const Routing& routing, const at::Tensor& choices);

}  // namespace switchyard::kernels

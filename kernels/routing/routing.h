// Token routing as a value: which expert works on which token, with which weight, in the order of experts.
//
// A router is scores -> select -> Routing. The scores are p = softmax(x gate^T), [T, E]; a selection picks from
// them, and the gate weight of a pick is its p: what is added to a score while selecting (a bias) moves the
// choice, never the weight.
//
//   top-k          the k experts of largest p + bias of each token (DiT-MoE, Fei et al. 2024, eq. 2; the gate of
//                  DeepSeekMoE without renormalisation)
//   expert choice  the c tokens of largest p + bias of each expert, among those of one image (Zhou et al. 2022,
//                  "Mixture-of-Experts with Expert Choice Routing"; EC-DiT, Sun et al. 2024)
//
// Of equal keys the lower index wins. Nothing is dropped: an expert takes as many tokens as chose it. A token
// may have any number of experts, none included: it has S slots, of which some may be empty.
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>
#include <vector>

#include "kernels/linear/linear.h"

namespace switchyard::kernels {

/// In Routing::experts, and as position in ExpertOrder: a slot that is empty.
inline constexpr int64_t kEmptySlot = -1;

struct Routing {
  at::Tensor probabilities;  // [T, E] fp32, carries a gradient
  at::Tensor experts;        // [T, S] int64: top-k: S = k, by falling key; expert choice: S = E, expert e or empty
  at::Tensor gate_weights;   // [T, S] fp32, carries a gradient; 0 in empty slots
  int64_t rows = -1;         // the most slots that can be filled; -1: all T * S. Known without asking a GPU

  int64_t most_rows() const { return rows < 0 ? experts.numel() : rows; }
};

/// What is added to the scores while selecting: a token with a bias of kForced has its expert before all
/// others (p <= 1), one with kMuted never.
inline constexpr float kForced = 16, kMuted = -std::numeric_limits<float>::infinity();

/// Control of one router from outside, on its device; both may be undefined. The tokens are those of N images,
/// one after the other.
struct Selection {
  at::Tensor bias;   // [N or 1, T / N or 1, E] fp32, added to p while selecting
  at::Tensor scale;  // likewise, multiplies the gate weight of what was selected

  bool defined() const { return bias.defined() || scale.defined(); }
};

/// probabilities [T, E] fp32, of `images` images with equally many tokens, 1 <= k <= E. A token of which fewer
/// than k experts are not muted has empty slots.
Routing select_top_k(const at::Tensor& probabilities, int64_t k, const Selection& selection = {},
                     int64_t images = 1);

/// Every expert takes `capacity` tokens of each image, 1 <= capacity <= T / images.
Routing select_by_experts(const at::Tensor& probabilities, int64_t capacity, const Selection& selection = {},
                          int64_t images = 1);

/// select_top_k of softmax(logits). logits [T, E] of any float dtype.
Routing route_top_k(const at::Tensor& logits, int64_t k, const Selection& selection = {}, int64_t images = 1);

/// p = softmax(x gate^T), [T, E] fp32 whatever the dtype, because the choice is discontinuous. x [T, D] and
/// gate [E, D] of any float dtype. With gradient.
at::Tensor gate_probabilities(const at::Tensor& x, const at::Tensor& gate);

/// select_top_k of gate_probabilities, in one kernel on a GPU.
Routing route_tokens(const at::Tensor& x, const at::Tensor& gate, int64_t k, const Selection& selection = {},
                     int64_t images = 1);

/// The gate in its fast form for inference.
class PackedGate {
 public:
  PackedGate() = default;
  explicit PackedGate(const at::Tensor& gate);

  /// As route_tokens and gate_probabilities.
  Routing operator()(const at::Tensor& x, int64_t k, const Selection& selection = {}, int64_t images = 1) const;
  at::Tensor probabilities(const at::Tensor& x) const;

  bool defined() const { return gate_.defined(); }

 private:
  at::Tensor gate_;      // as given, for the CUDA kernel
  PackedLinear packed_;  // in fp32, for everything else
};

/// The gate weights of a routing by expert: out [N, T / N, E] fp32 = the weight of each token's experts, 0 for
/// those that it did not choose. `out` may be a part of something larger; its last dimension is contiguous.
void write_gate_weights(const Routing& routing, const at::Tensor& out);

/// Each expert's rows are filled up to a multiple of this. Libraries compile (and cache) a kernel per matrix
/// shape, and without it every step would bring shapes never seen before.
inline constexpr int64_t kRowTile = 16;

/// The filled slots of a routing sorted by expert; rows of one expert keep their order.
struct ExpertOrder {
  at::Tensor token;     // [R] int64: the token of each sorted row; token 0 in the rows that only fill up
  at::Tensor position;  // [T * S] int64: where slot (token, s) = token * S + s went, or kEmptySlot
  std::vector<int64_t>
      begin;  // [E + 1]: expert e has the sorted rows begin[e] .. begin[e + 1] - 1; begin[E] = R
};

/// experts [T, S] int64 with values in 0 .. num_experts - 1, or kEmptySlot.
ExpertOrder order_by_expert(const at::Tensor& experts, int64_t num_experts);

/// How many slots chose each expert: [E] int64, on the device of the routing, without waiting for it.
at::Tensor expert_choices(const Routing& routing);

/// Load-balance loss of one layer (Switch Transformer; DiT-MoE, eq. 5): E * sum_e f_e P_e, where f_e is the
/// share of the choices that went to expert e and P_e its mean probability over all tokens. 1 when balanced.
/// `choices` are the routing's expert_choices(). Scalar with gradient.
at::Tensor balance_loss(const Routing& routing, const at::Tensor& choices);

}  // namespace switchyard::kernels

// Views of a record of routing, as small tensors: what panels show, and what CSV files hold.
//
// Numbers are fp32; NaN is "nothing there": a step that was not evaluated (not yet, cancelled, guidance off in that
// half), or an expert that the layer does not have. Of Half::difference, every number is that of the conditional half
// less that of the other, NaN unless both are there. All throw std::invalid_argument for an image, step, layer, expert
// or patch outside the record, and where probabilities are asked for that it did not keep.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "pipeline/routing_record.h"

namespace switchyard::pipeline {

enum class Half { conditional, unconditional, difference };

/// What of an expert is measured, per token.
enum class Measure {
  tokens,  // 1 where the token chose it, else 0: means over tokens are shares of tokens, and sum to k over experts
  weight,      // its gate weight, 0 where it was not chosen
  probability  // what the router thought of it, chosen or not
};

/// One layer of one image at one step.
struct Place {
  int64_t image = 0, step = 0, layer = 0;
  Half half = Half::conditional;
};

/// The tokens of some images at some steps.
struct Span {
  std::vector<int64_t> images = {};        // empty: all
  int64_t first_step = 0, last_step = -1;  // both included; -1: the record's last
  Half half = Half::conditional;
};

/// -> [T, E]: a row per token, which is a patch in row-major order (T is 1 for timesteps).
at::Tensor token_table(const RoutingRecord& record, const Place& place, Measure measure);

/// Patch map of an expert -> [T].
at::Tensor patch_map(const RoutingRecord& record, const Place& place, int64_t expert, Measure measure);

/// -> [T] int64: the expert of largest gate weight of each token, -1 for none. Of the difference: the conditional
/// half's where the other half has another one, else -1.
at::Tensor winner_map(const RoutingRecord& record, const Place& place);

/// -> [steps, layers] int64: winners of one patch, followed through time and depth; as winner_map().
at::Tensor path_of_patch(const RoutingRecord& record, int64_t image, int64_t patch, Half half);

/// -> [T]: how close each token's choice was: the least probability among the chosen experts less the greatest among
/// the others. Below 0 where an edit or a bias overruled the router. NaN for tokens that chose none or all.
at::Tensor margins(const RoutingRecord& record, const Place& place);

/// -> [T]: the share of a token's choices in `a` that it did not make in `b`, 0 .. 1: where routing changed. NaN where
/// one of them has no choice. Records of equally many tokens and experts; each is asked at its own place.
at::Tensor changed_choices(const RoutingRecord& a, const Place& at_a, const RoutingRecord& b,
                           const Place& at_b);

/// Timestep map of a layer -> [steps, E]: means over tokens. Steps outside the span are NaN.
at::Tensor timestep_map(const RoutingRecord& record, const Span& span, int64_t layer, Measure measure);

/// Layers x experts, over the span.
struct Atlas {
  at::Tensor loads;  // [layers, E]: means over tokens
  at::Tensor
      entropy;  // [layers]: of the loads as a distribution, in units of its most: 1 even, 0 one expert takes all
  at::Tensor imbalance;  // [layers]: the greatest load over the mean one: 1 even, E one expert takes all
};
/// Of Half::difference, entropy and imbalance are differences too.
Atlas atlas(const RoutingRecord& record, const Span& span, Measure measure);

/// How tokens move between experts -> [E, E], from row to column: shares of all pairs (a choice here, a choice of the
/// same token there), which sum to 1. From `layer` to the next, over the span; or from `step` to the next, in a layer,
/// of the span's images. NaN throughout where there is no pair.
at::Tensor flow_to_next_layer(const RoutingRecord& record, const Span& span, int64_t layer);
at::Tensor flow_to_next_step(const RoutingRecord& record, const Span& span, int64_t step, int64_t layer);

/// Experts whose share of a layer's choices is below `part` of an even share, the idlest first.
struct Dormant {
  int64_t layer = 0, expert = 0;
  double share = 0;  // of the layer's choices
};
std::vector<Dormant> dormant_experts(const RoutingRecord& record, const Span& span, double part = 0.1);

/// The patches that chose an expert most strongly in a layer, by gate weight, each patch of an image once.
struct StrongPatch {
  int64_t image = 0, step = 0, patch = 0;
  double weight = 0;
};
std::vector<StrongPatch> strongest_patches(const RoutingRecord& record, const Span& span, int64_t layer,
                                           int64_t expert, int64_t count);

/// A matrix for the eye.
enum class Normalisation {
  none,
  row,     // each row by its sum of magnitudes
  column,  // each column by its sum of magnitudes
  global,  // by the greatest magnitude
  uniform  // each row by its mean of magnitudes: 1 is an even share
};
/// matrix [R, C] -> the same shape. NaN is left out of sums and stays; what has nothing to be divided by stays.
at::Tensor normalised(const at::Tensor& matrix, Normalisation how);

}  // namespace switchyard::pipeline

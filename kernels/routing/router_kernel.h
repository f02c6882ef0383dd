// The router of one layer in one kernel: gate product in fp32, softmax, top-k, tokens per expert
// (kernels/routing/routing.h).
//
//   logits[t, e] = x[t] . gate[e];   p = softmax(logits[t]);   the k largest p + bias, in falling order; of
//   equal ones the expert of lower index; weight = p * scale; a bias of minus infinity: never chosen, and a
//   token with fewer than k others has -1 and weight 0 in its last slots; counts[e] = how many slots chose e
//
//   x              [tokens, width], dtype
//   gate           [experts, width], dtype; null: x holds the logits (width = experts)
//   bias, scale    [images or 1, tokens_per_image or 1, experts] fp32; null: 0 and 1
//   probabilities  [tokens, experts] fp32; null: not wanted
//   chosen         [tokens, k] int32      gate_weights  [tokens, k] fp32      counts  [experts] int32
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

inline constexpr int kMaxExperts = 128, kMaxExpertsPerToken = 8;

/// [images or 1, tokens per image or 1, experts] by strides, 0 where there is one for all; null: none.
struct Control {
  const float* values;
  std::int64_t image_stride, token_stride;
};

struct Router {
  DType dtype;
  std::int64_t tokens;
  int width, experts, k;  // 1 <= k <= min(experts, 8), experts <= 128
  const void* x;
  std::int64_t x_stride;
  const void* gate;
  std::int64_t gate_stride;
  std::int64_t tokens_per_image;  // 0 as good as all, without bias and scale
  Control bias, scale;
  float* probabilities;  // contiguous, as are all results
  std::int32_t* chosen;
  float* gate_weights;
  std::int32_t* counts;
};

void route(const Router& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

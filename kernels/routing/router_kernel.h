// The router of one layer in one kernel: gate product in fp32, softmax, top-k, tokens per expert
// (kernels/routing/routing.h).
//
//   logits[t, e] = x[t] . gate[e];   p = softmax(logits[t]);   the k largest p, in falling order; of equal
//   ones the expert of lower index; counts[e] = how many (token, slot) chose e
//
//   x              [tokens, width], dtype
//   gate           [experts, width], dtype; null: x holds the logits (width = experts)
//   probabilities  [tokens, experts] fp32; null: not wanted
//   chosen         [tokens, k] int32      gate_weights  [tokens, k] fp32      counts  [experts] int32
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

inline constexpr int kMaxExperts = 128, kMaxExpertsPerToken = 8;

struct Router {
  DType dtype;
  std::int64_t tokens;
  int width, experts, k;  // 1 <= k <= min(experts, 8), experts <= 128
  const void* x;
  std::int64_t x_stride;
  const void* gate;
  std::int64_t gate_stride;
  float* probabilities;  // contiguous, as are all results
  std::int32_t* chosen;
  float* gate_weights;
  std::int32_t* counts;
};

void route(const Router& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

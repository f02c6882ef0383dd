#include "pipeline/drawing_memory.h"

#include <c10/core/ScalarType.h>

#include <algorithm>

#include "pipeline/batch.h"

namespace switchyard::pipeline {

int64_t bytes_of_drawing(const dit::ModelConfig& config, const Settings& settings, int64_t images, at::ScalarType dtype,
                         bool watched) {
  const int64_t halves = has_both_halves(settings) ? 2 : 1;
  const int64_t width = config.hidden_size, chosen = config.routes_tokens() ? config.experts_per_token : 0;
  const int64_t attention = 4 * width;  // queries, keys, values and what they give
  const int64_t feed_forward = std::max(config.mlp_hidden, config.shared_hidden) + chosen * width;
  const int64_t numbers = 2 * width + std::max(attention, feed_forward);  // beside the token, and as it is modulated
  const int64_t routing = watched && chosen > 0 ? config.depth * config.num_experts * int64_t{sizeof(float)} : 0;
  const auto bytes = numbers * static_cast<int64_t>(c10::elementSize(dtype)) + routing;
  return images * halves * config.tokens() * bytes;
}

}  // namespace switchyard::pipeline

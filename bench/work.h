// How much arithmetic a forward pass is.
#pragma once

#include "dit/config.h"

namespace switchyard {

/// Floating-point operations of the matrix products that one image's tokens pass through, a multiply-add
/// being two; what is element-wise is left out, and so are products that a shorter way saves.
inline double forward_flop(const dit::ModelConfig& c) {
  const double d = static_cast<double>(c.hidden_size), tokens = static_cast<double>(c.tokens());
  const double depth = static_cast<double>(c.depth), patch = static_cast<double>(c.patch_size * c.patch_size);
  const double experts = 3 * d * static_cast<double>(c.experts_per_token * c.expert_hidden + c.shared_hidden);
  const double feed_forward =
      d * static_cast<double>(c.num_experts) + experts + 2 * d * static_cast<double>(c.mlp_hidden);
  const double timestep_mask = c.routes_timesteps() ? d * d : 0;  // the experts folded into one matrix
  const double per_token = 4 * d * d + 2 * tokens * d + feed_forward + timestep_mask;
  const double ends = patch * d * static_cast<double>(c.in_channels + c.out_channels());
  const double per_image = depth * 6 * d * d + 2 * d * d + 256 * d + d * d;
  return 2 * (tokens * (depth * per_token + ends) + per_image);
}

}  // namespace switchyard

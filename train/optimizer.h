// One optimiser step on flat buffers: clipping, AdamW (Loshchilov and Hutter 2019), and the moving average of
// the weights.
#pragma once

#include <ATen/core/Tensor.h>

#include "train/recipe.h"

namespace switchyard::train {

/// What the optimiser moves, each [size] fp32.
struct OptimizerState {
  at::Tensor master;   // the weights
  at::Tensor average;  // their moving average, decay min(ema_decay, n / (n + 10)) after n steps: the young
                       // one forgets fast
  at::Tensor first_moment;
  at::Tensor second_moment;
  int64_t first_step =
      0;  // the step before which the moments were zero: bias correction and warm-up count from it
};

/// Step `step` (0-based) with the mean gradient [size] fp32, which is scaled in place to the norm
/// max_gradient_norm where it is larger. Returns the norm before that. Throws std::runtime_error, with
/// nothing changed, when it is not finite.
double optimizer_step(const Recipe& recipe, int64_t step, at::Tensor& gradient, const OptimizerState& state);

}  // namespace switchyard::train

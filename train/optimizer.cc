#include "train/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace switchyard::train {

double optimizer_step(const Recipe& recipe, int64_t step, at::Tensor& gradient, const OptimizerState& state) {
  const double norm = at::linalg_vector_norm(gradient).item<double>();
  if (!std::isfinite(norm)) {
    throw std::runtime_error("step " + std::to_string(step) +
                             ": the gradient is not finite; the last checkpoint is kept");
  }
  gradient.mul_(std::min(1.0, recipe.max_gradient_norm / (norm + 1e-6)));

  const double n = static_cast<double>(step - state.first_step + 1);
  at::_fused_adamw_({state.master}, {gradient}, {state.first_moment}, {state.second_moment}, {},
                    {at::full({}, n, state.master.options())},
                    recipe.learning_rate_at(step, state.first_step), recipe.beta1, recipe.beta2,
                    recipe.weight_decay, recipe.adam_eps,
                    /*amsgrad=*/false, /*maximize=*/false);
  state.average.lerp_(state.master, 1.0 - std::min(recipe.ema_decay, n / (n + 10.0)));
  return norm;
}

}  // namespace switchyard::train

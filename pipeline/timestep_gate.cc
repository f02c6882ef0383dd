#include "pipeline/timestep_gate.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <stdexcept>
#include <vector>

#include "dit/timestep_experts.h"

namespace switchyard::pipeline {
namespace {

// windows [timesteps, depth * E] of 0 and 1, which move one way: each column is 1 from one timestep to another.
at::Tensor ends_of(const at::Tensor& windows, int64_t depth) {
  const auto inside = windows.gt(0).t().to(at::kLong);  // [depth * E, timesteps]
  const auto first = inside.argmax(1), last = inside.size(1) - 1 - inside.flip(1).argmax(1);
  const auto never = inside.sum(1).eq(0).unsqueeze(1);
  return at::stack({first, last}, 1).masked_fill(never, -1).reshape({depth, -1, 2});
}

}  // namespace

TimestepGate timestep_gate(const dit::DiffusionTransformer& model) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> probabilities, experts;
  for (const auto& layer : model.timestep_routing()) {
    probabilities.push_back(layer.probabilities.to(at::kCPU, at::kFloat));
    experts.push_back(layer.experts.to(at::kCPU, at::kLong));
  }
  if (probabilities.empty())
    throw std::invalid_argument("the model routes no timesteps: it has no gate to show");
  return {at::stack(probabilities), at::stack(experts),
          ends_of(dit::prior_windows(model.config()).cpu(), model.config().depth)};
}

}  // namespace switchyard::pipeline

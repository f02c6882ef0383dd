#include "train/prior_loss.h"

#include <ATen/ATen.h>

#include "train/assignment.h"

namespace switchyard::train {

at::Tensor prior_cost(const std::vector<kernels::Routing>& all_timesteps, const at::Tensor& windows,
                      const at::Tensor& gate_order, const at::Tensor& window_order) {
  std::vector<at::Tensor> maps;
  for (const auto& layer : all_timesteps)
    maps.push_back(at::zeros_like(layer.probabilities, at::kDouble).scatter(1, layer.experts, 1.0));
  const auto a = at::cat(maps, 1).index_select(1, gate_order);
  const auto b = windows.to(a.device(), at::kDouble).index_select(1, window_order);
  // Of zeros and ones: |a - b| = a + b - 2 a b.
  return a.sum(0).unsqueeze(1) + b.sum(0).unsqueeze(0) - 2 * at::mm(a.t(), b);
}

PriorMatch match_prior(const std::vector<kernels::Routing>& all_timesteps, const at::Tensor& windows,
                       at::Tensor gate_order, at::Tensor window_order) {
  const auto cost = prior_cost(all_timesteps, windows, gate_order, window_order).cpu();
  const auto columns = cheapest_assignment(cost);
  PriorMatch match{std::move(gate_order), std::move(window_order), at::tensor(columns, at::kLong), 0};
  match.total_cost = cost.gather(1, match.paired.unsqueeze(1)).sum().item<double>();
  match.paired = match.paired.to(match.gate_order.device());
  return match;
}

PriorMatch match_prior(const std::vector<kernels::Routing>& all_timesteps, const at::Tensor& windows,
                       const at::Generator& generator) {
  const int64_t columns = windows.size(1);
  const auto order = [&] { return at::randperm(columns, generator, at::kLong).to(windows.device()); };
  auto gate_order = order(), window_order = order();
  return match_prior(all_timesteps, windows, std::move(gate_order), std::move(window_order));
}

at::Tensor prior_loss(const std::vector<at::Tensor>& batch, const at::Tensor& t, const at::Tensor& windows,
                      const PriorMatch& match) {
  constexpr double kEps = 1e-6;
  const auto p = at::cat(batch, 1).index_select(1, match.gate_order) / static_cast<double>(batch.size());
  const auto chosen =
      windows.index_select(0, t).index_select(1, match.window_order.index_select(0, match.paired));
  const auto q = chosen / chosen.sum(1, /*keepdim=*/true);
  const auto log_h = at::log((p + q) / 2 + kEps);
  const auto divergence = p * (at::log(p + kEps) - log_h) + q * (at::log(q + kEps) - log_h);
  return 0.5 * divergence.sum(1).mean();
}

}  // namespace switchyard::train

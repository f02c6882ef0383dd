#include "pipeline/routing_facts.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace switchyard::pipeline {

at::Tensor shares(const RoutingRecord& record) {
  const auto steps = record.steps(), layers = record.layers(), experts = record.num_experts();
  auto counts = at::zeros({steps, layers, experts});
  for (int64_t step = 0; step < steps; ++step) {
    const auto chosen = record.experts.select(1, step).select(2, 0).to(at::kLong);  // [images, L, T, k]
    const auto bins = chosen + experts * at::arange(layers).view({1, layers, 1, 1});
    const auto filled = bins.masked_select(chosen.ne(record.no_expert()));
    counts[step].copy_(at::bincount(filled, {}, layers * experts).view({layers, experts}));
  }
  const auto total = counts.sum(2, true);
  return at::where(total > 0, counts / total, -1.0);
}

at::Tensor winners(const RoutingRecord& record) {
  const auto first = record.experts.select(3, 0).select(-1, 0).to(at::kLong);  // [images, S, L, T]
  return first.masked_fill(first.eq(record.no_expert()), -1);
}

std::vector<int64_t> liveliest_layers(const at::Tensor& winners, int64_t count) {
  const auto changes = (winners.slice(0, 1) != winners.slice(0, 0, -1)).sum(at::IntArrayRef{0, 2});  // [L]
  const auto order = changes.argsort(/*stable=*/true, 0, /*descending=*/true).slice(0, 0, count);
  std::vector<int64_t> layers(order.const_data_ptr<int64_t>(),
                              order.const_data_ptr<int64_t>() + order.numel());
  std::sort(layers.begin(), layers.end());
  return layers;
}

}  // namespace switchyard::pipeline

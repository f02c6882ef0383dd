#include "pipeline/routing_load.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <nlohmann/json.hpp>

namespace switchyard::pipeline {
namespace {

constexpr std::pair<Router, const char*> kRouters[] = {{Router::tokens, "tokens"},
                                                       {Router::timesteps, "timesteps"}};

void count(const StepRouting::Of& routing, at::Tensor& counts) {
  if (!routing.gate_weights.defined()) return;
  const auto now = (routing.gate_weights != 0).sum(at::IntArrayRef{1, 2}).to(at::kDouble);
  counts = counts.defined() ? counts + now : now;
}

}  // namespace

void RoutingLoad::add(const StepRouting& routing) {
  count(routing.tokens, tokens_);
  count(routing.timesteps, timesteps_);
}

at::Tensor RoutingLoad::shares(Router router) const {
  const auto& counts = router == Router::tokens ? tokens_ : timesteps_;
  return counts.defined() ? counts / counts.sum(1, /*keepdim=*/true).clamp_min(1) : counts;
}

nlohmann::ordered_json RoutingLoad::json() const {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [router, name] : kRouters) {
    const auto all = shares(router);
    for (int64_t layer = 0; all.defined() && layer < all.size(0); ++layer) {
      const auto row = all[layer].contiguous();
      json[name].push_back(
          std::vector<double>(row.const_data_ptr<double>(), row.const_data_ptr<double>() + row.numel()));
    }
  }
  return json;
}

std::string RoutingLoad::text() const {
  std::string text;
  for (const auto& [router, name] : kRouters) {
    const auto all = shares(router);
    for (int64_t layer = 0; all.defined() && layer < all.size(0); ++layer) {
      text += (text.empty() ? "layer " : "\nlayer ") + std::to_string(layer) + ", " + name + ":";
      for (int64_t expert = 0; expert < all.size(1); ++expert) {
        char share[16];
        std::snprintf(share, sizeof share, " %.1f %%", 100 * all[layer][expert].item<double>());
        text += share;
      }
    }
  }
  return text;
}

}  // namespace switchyard::pipeline

// Models whose every tensor matters: random weights of a sensible scale, where initialize() leaves zeros.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <vector>

#include "dit/transformer.h"

namespace switchyard::dit {

inline at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed));
}

inline DiffusionTransformer random_model(const ModelConfig& config, at::ScalarType dtype = at::kFloat) {
  const at::NoGradGuard no_grad;
  DiffusionTransformer model(config, at::TensorOptions().dtype(dtype));
  uint64_t seed = 1;
  for (auto& [name, tensor] : model.state_dict()) {
    if (name == "pos_embed") continue;
    const double fan_in =
        tensor.dim() > 1 ? static_cast<double>(tensor.numel()) / static_cast<double>(tensor.size(0)) : 100;
    tensor.copy_(random(tensor.sizes(), seed++) / std::sqrt(fan_in));
  }
  return model;
}

/// A small model of the solids' kind: 4 tokens, 2 blocks.
inline ModelConfig small_config() {
  auto config = preset("tiny");
  config.input_size = 8;
  return config;
}

inline ModelConfig small_dense_config() {
  auto config = small_config();
  config.family = "dit";
  config.feed_forward = "mlp";
  config.mlp_hidden = 128;
  config.num_experts = config.experts_per_token = config.expert_hidden = config.shared_hidden = 0;
  config.schedule = "linear";
  config.prediction = "noise";
  config.time_scale = 1;
  return config;
}

inline ModelConfig small_task_config(ModelConfig config = small_dense_config()) {
  config.block_router = "tasks";
  config.task_alpha = 3;
  config.task_beta = 0.5;
  config.num_timesteps = 100;
  config.schedule = "cosine";
  config.prediction = "noise";
  config.time_scale = 1;
  config.family = family_name(config.block_router, config.feed_forward);
  return config;
}

inline ModelConfig small_switch_config(ModelConfig config = small_dense_config()) {
  config = small_task_config(config);
  config.block_router = "timestep_experts";
  config.task_alpha = config.task_beta = 0;
  config.timestep_experts = 5;
  config.experts_per_timestep = 3;
  config.family = family_name(config.block_router, config.feed_forward);
  return config;
}

/// One small model of every block router with every feed-forward.
inline std::vector<ModelConfig> every_family() {
  auto lone = small_config();  // without a shared expert
  lone.shared_hidden = 0;
  return {small_dense_config(),
          small_config(),
          lone,
          small_task_config(),
          small_switch_config(),
          small_task_config(small_config()),
          small_switch_config(small_config())};
}

struct Batch {
  at::Tensor x, t, y;
  Batch narrow(int64_t first, int64_t count) const {
    return {x.narrow(0, first, count), t.narrow(0, first, count), y.narrow(0, first, count)};
  }
};

/// Times in [0, 1) for rectified flow, else integers.
inline Batch random_batch(const ModelConfig& c, int64_t n) {
  auto t = at::rand({n}, at::detail::createCPUGenerator(102));
  if (c.schedule != "rectified_flow") t = at::floor(t * static_cast<double>(c.num_timesteps));
  return {random({n, c.in_channels, c.input_size, c.input_size}, 101), t,
          at::arange(n).remainder(c.labels())};
}

}  // namespace switchyard::dit

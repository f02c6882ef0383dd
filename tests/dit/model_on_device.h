// Models with random weights on a GPU, or on the CPU where there is none.
#pragma once

#include <ATen/ATen.h>

#include "random_model.h"

namespace switchyard::dit {

inline at::Device gpu_or_cpu() { return at::hasCUDA() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU); }

inline Batch on_device(const Batch& batch, at::Device device) {
  return {batch.x.to(device), batch.t.to(device), batch.y.to(device)};
}

/// The weights of random_model(config), rounded to `dtype`; packed.
inline DiffusionTransformer random_model_on(at::Device device, const ModelConfig& config,
                                            at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  auto on_cpu = random_model(config);
  DiffusionTransformer model(config, at::device(device).dtype(dtype));
  auto places = model.state_dict();
  for (const auto& [name, tensor] : on_cpu.state_dict()) places.at(name).copy_(tensor);
  model.pack();
  return model;
}

/// A small model whose sizes the CUDA kernels take: multiples of 8.
inline ModelConfig graph_config(bool dense = false) {
  auto config = preset("solids/8");
  config.input_size = 16;
  config.depth = 3;
  if (!dense) return config;
  config.family = "dit";
  config.feed_forward = "mlp";
  config.mlp_hidden = 4 * config.hidden_size;
  config.num_experts = config.experts_per_token = config.expert_hidden = config.shared_hidden = 0;
  return config;
}

}  // namespace switchyard::dit

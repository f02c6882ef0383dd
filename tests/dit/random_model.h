// Models whose every tensor matters: random weights of a sensible scale, where initialize() leaves zeros.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

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

struct Batch {
  at::Tensor x, t, y;
  Batch narrow(int64_t first, int64_t count) const {
    return {x.narrow(0, first, count), t.narrow(0, first, count), y.narrow(0, first, count)};
  }
};

inline Batch random_batch(const ModelConfig& c, int64_t n) {
  return {random({n, c.in_channels, c.input_size, c.input_size}, 101),
          at::rand({n}, at::detail::createCPUGenerator(102)), at::arange(n).remainder(c.num_classes + 1)};
}

}  // namespace switchyard::dit

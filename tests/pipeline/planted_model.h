// A model whose routing is planted: every patch has a known order of experts, in every layer, at every time.
#pragma once

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <string>

#include "dit/transformer.h"

namespace switchyard::pipeline {

inline constexpr int64_t kExperts = 4, kSide = 4, kTokens = kSide * kSide;

inline dit::ModelConfig planted_config() {
  auto config = dit::preset("tiny");
  config.depth = 3;
  return config;
}

/// Blocks are identities and the image is not looked at: a token is its position, of which two numbers stand out.
/// Patch t prefers expert t mod 4, then t + 1 mod 4, then the others, who tie: the lower index goes before.
inline dit::DiffusionTransformer planted_model(at::ScalarType dtype = at::kFloat) {
  const at::NoGradGuard no_grad;
  dit::DiffusionTransformer model(planted_config(), at::TensorOptions().dtype(dtype));
  dit::initialize(model, 3);  // zero adaLN: shift, scale and gates are 0
  auto state = model.state_dict();
  state.at("x_embedder.proj.weight").zero_();
  auto positions = state.at("pos_embed").zero_();
  for (int64_t t = 0; t < kTokens; ++t) {
    positions[0][t][t % kExperts] = 2;
    positions[0][t][(t + 1) % kExperts] = 1;
  }
  for (int64_t layer = 0; layer < planted_config().depth; ++layer) {
    auto gate = state.at("blocks." + std::to_string(layer) + ".moe.gate.weight").zero_();
    for (int64_t e = 0; e < kExperts; ++e) gate[e][e] = 0.5;
  }
  return model;
}

}  // namespace switchyard::pipeline

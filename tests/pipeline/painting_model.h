// The planted model with one layer whose experts paint.
#pragma once

#include <string>
#include <vector>

#include "planted_model.h"

namespace switchyard::pipeline {

inline constexpr int64_t kPaintingLayer = 1;

/// In layer kPaintingLayer expert e adds its paint, times its gate weight, to a number of the token that all pixels of
/// the patch are made of: the more of it, the brighter. Routing is the planted model's.
inline dit::DiffusionTransformer painting_model(const std::vector<double>& paint) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kPainted = 20, kConstant = 31;  // channels that the positions leave at 0
  auto model = planted_model();
  auto state = model.state_dict();
  const auto width = planted_config().hidden_size;
  const auto block = "blocks." + std::to_string(kPaintingLayer);
  auto modulation = state.at(block + ".adaLN_modulation.1.bias").view({6, width});
  modulation[3][kConstant] = 3;  // what every token sees there, beside the same negative number
  modulation[5][kPainted] = 1;   // nothing else is let through
  for (int64_t e = 0; e < kExperts; ++e) {
    const auto expert = block + ".moe.experts." + std::to_string(e);
    state.at(expert + ".gate_proj.weight").zero_()[0][kConstant] = 1;
    state.at(expert + ".up_proj.weight").zero_()[0][kConstant] = 1;
    state.at(expert + ".down_proj.weight").zero_()[kPainted][0] = paint[static_cast<size_t>(e)];
  }
  for (const auto& [name, tensor] : state)
    if (name.starts_with(block + ".moe.shared_experts")) tensor.zero_();
  auto output = state.at("final_layer.linear.weight").zero_();
  output.select(1, kPainted).fill_(-0.05);  // a velocity: it leads away from the image
  state.at("final_layer.linear.bias").zero_();
  return model;
}

}  // namespace switchyard::pipeline

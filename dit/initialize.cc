#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

#include "dit/transformer.h"

namespace switchyard::dit {
namespace {

void xavier_uniform(at::Tensor matrix, const at::Generator& generator) {  // [out, in...]
  const double fan_out = static_cast<double>(matrix.size(0));
  const double fan_in = static_cast<double>(matrix.numel()) / fan_out;
  const double bound = std::sqrt(6.0 / (fan_in + fan_out));
  matrix.uniform_(-bound, bound, generator);
}

}  // namespace

void initialize(DiffusionTransformer& model, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const auto generator = at::detail::createCPUGenerator(seed);
  for (auto& [name, target] : model.state_dict()) {
    if (name == "pos_embed") continue;
    auto value = at::empty_like(target, target.options().device(at::kCPU).dtype(at::kFloat));
    if (name.find("adaLN") != std::string::npos || name.starts_with("final_layer.linear")) {
      value.zero_();
    } else if (name.find("_norm.weight") != std::string::npos) {
      value.fill_(1.0);
    } else if (name.ends_with(".bias")) {
      value.zero_();
    } else if (name.starts_with("t_embedder") || name.starts_with("y_embedder")) {
      value.normal_(0.0, 0.02, generator);
    } else if (name.ends_with("moe.gate.weight")) {
      const double bound = 1.0 / std::sqrt(static_cast<double>(value.size(1)));
      value.uniform_(-bound, bound, generator);
    } else {
      xavier_uniform(value, generator);
    }
    target.copy_(value);
  }
  for (auto& block : model.blocks_) {
    block.feed_forward->initialize();
    if (block.router) block.router->initialize();
  }
}

}  // namespace switchyard::dit

// The feed-forward of DiT-MoE (Fei et al. 2024): routed SwiGLU experts beside a shared one; every token picks
// its own.
#pragma once

#include "dit/parts.h"

namespace switchyard::dit {

void validate_moe(const ModelConfig& config);
ParameterCount count_moe(const ModelConfig& config);
std::unique_ptr<FeedForward> make_moe(const ModelConfig& config, const at::TensorOptions& options);

}  // namespace switchyard::dit

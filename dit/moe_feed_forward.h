// The feed-forward of DiT-MoE (Fei et al. 2024): routed SwiGLU experts beside a shared one. Who picks them is a
// part of its own (dit/token_router.h).
#pragma once

#include "dit/parts.h"

namespace switchyard::dit {

void validate_moe(const ModelConfig& config);
ParameterCount count_moe(const ModelConfig& config, int64_t block);
std::unique_ptr<FeedForward> make_moe(const ModelConfig& config, int64_t block,
                                      const at::TensorOptions& options);

}  // namespace switchyard::dit

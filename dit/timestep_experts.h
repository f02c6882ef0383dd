// The router of Switch-DiT (Park et al. 2024, "Switch Diffusion Transformer: Synergizing Denoising Tasks with
// Sparse Mixture-of-Experts"): the embedding of t picks experts that say which part of the input a block
// works on.
//
//   p = softmax(Linear(silu(embedding of t)));  the k largest p_e, not renormalised, weigh the chosen experts
//   m = 1 + sum_j p_ej (x W_ej + b_ej)
#pragma once

#include "dit/parts.h"

namespace switchyard::dit {

/// DTR's windows over the model's depth * timestep_experts experts, which the diffusion prior asks the
/// routers to resemble: [num_timesteps, depth * timestep_experts], depth * experts_per_timestep ones per row.
at::Tensor prior_windows(const ModelConfig& config);

void validate_timestep_experts(const ModelConfig& config);
ParameterCount count_timestep_experts(const ModelConfig& config, int64_t block);
int64_t derived_timestep_experts(const ModelConfig& config);
std::unique_ptr<BlockRouter> make_timestep_experts(const ModelConfig& config, int64_t block,
                                                   const at::TensorOptions& options);

}  // namespace switchyard::dit

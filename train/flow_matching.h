// The training loss of one shard: the model's objective with class dropout, load balance and diffusion prior.
//
//   rectified flow      z_t = (1 - t) x + t noise, t = sigmoid(location + scale n)  (Esser et al. 2024)
//     velocity          mean |v_theta - (noise - x)|^2     (Lipman et al. 2022; the official DiT-MoE loss)
//     clean image       mean |(x_theta - x) / max(t, min_time)|^2, the velocity loss of x-prediction
//                       (Li and He 2025)
//
//   discrete schedules  see diffusion_objective.h
//
//   + balance_weight * sum over the layers of E sum_e f_e P_e, of models that route tokens
//   + the diffusion prior (prior_loss.h), of models that route timesteps
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dit/transformer.h"
#include "train/recipe.h"

namespace switchyard::train {

struct ShardLoss {
  at::Tensor total;  // scalar with gradient: flow + balance_weight * balance + prior
  // Scalars without gradient. On a GPU, whoever reads one waits for it: better after the backward pass.
  at::Tensor flow;     // the objective's loss alone
  at::Tensor balance;  // mean over the layers of E sum_e f_e P_e; 1 is balanced; 0 where no tokens are routed
  at::Tensor prior;    // the diffusion prior's loss; 0 where no timesteps are routed
  std::vector<at::Tensor> expert_choices;  // per layer [E] int64: how many choices each expert got, of the
                                           // tokens' router or, where there is none, of the timesteps'
};

/// The flow-matching loss per image, [N], of an output at given noisy images; all fp32.
at::Tensor flow_loss_per_image(bool predicts_clean_image, const at::Tensor& output, const at::Tensor& images,
                               const at::Tensor& noise, const at::Tensor& t, double min_time);

/// images [N, C, H, W] in [-1, 1]; noise, times and dropout are drawn from `draw_seed` alone.
ShardLoss shard_loss(const dit::DiffusionTransformer& model, const at::Tensor& images,
                     const at::Tensor& labels, uint64_t draw_seed, const Recipe& recipe);

}  // namespace switchyard::train

// Training on a discrete diffusion schedule: what a model is shown of an image, and what it should have
// answered (Ho et al. 2020; Nichol and Dhariwal 2021; Salimans and Ho 2022).
//
//   x_t = alpha x + sigma noise, t uniform in 0 .. num_timesteps - 1
//
//   answers: noise, clean image x, or v = alpha noise - sigma x; with a learned variance also the variational
//   bound's term for it, times num_timesteps / 1000. The clean image's error is divided by max(sigma, min_sigma)^2,
//   which makes it that of v (Li and He 2025), as flow_matching.h does.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include "dit/config.h"

namespace switchyard::train {

struct NoisyImages {
  at::Tensor x_t;    // [N, C, H, W] fp32
  at::Tensor t;      // [N] int64
  at::Tensor noise;  // [N, C, H, W] fp32
};

/// images [N, C, H, W] fp32 in [-1, 1]; noise and timesteps come from the generator, in this order.
NoisyImages diffuse(const dit::ModelConfig& config, const at::Tensor& images, const at::Generator& generator);

/// The loss per image, [N] with gradient, of the model's output [N, out_channels, H, W].
at::Tensor diffusion_loss_per_image(const dit::ModelConfig& config, const at::Tensor& output,
                                    const at::Tensor& images, const NoisyImages& shown, double min_sigma);

}  // namespace switchyard::train

// Rectified flow: how velocity and clean-image prediction turn into each other.
//
//   z_t = (1 - t) x + t noise,   v = dz/dt = noise - x   =>   x_hat = z_t - t v,   v = (z_t - x_hat) / t
//
// Liu et al. 2022, "Flow Straight and Fast"; Lipman et al. 2022, "Flow Matching for Generative Modeling".
#pragma once

#include <ATen/core/Tensor.h>

#include "sampler/denoiser.h"

namespace switchyard::sampler {

/// v from a model's output; output and z of the same shape, z float32, 0 <= t <= 1.
/// For clean_image, v is 0/0 at t = 0 and its rounding error grows as 1/t: t must be > 0, else
/// std::invalid_argument. The solvers keep to that: their least t is half of the last step.
at::Tensor velocity_from(Prediction prediction, const at::Tensor& output, const at::Tensor& z, double t);

/// x_hat from a model's output, for any 0 <= t <= 1.
at::Tensor clean_from(Prediction prediction, const at::Tensor& output, const at::Tensor& z, double t);

/// The model as a velocity denoiser, which is what guidance and solvers take. Its output is converted to z's
/// dtype.
Denoiser velocity_denoiser(Prediction prediction, Denoiser model);

}  // namespace switchyard::sampler

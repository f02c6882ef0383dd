// The training loss of diffusion models with a learned variance, per image: mean squared error, the
// variational bound's term for the variance, and the weightings of the field. The schedule comes in as plain
// coefficients.
//
//   x_t = sqrt(alpha_bar) x + sqrt(1 - alpha_bar) noise
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::train {

/// Of each image's timestep, [N] fp32 or fp64 each.
struct DiffusionCoefficients {
  at::Tensor alpha_bar;           // alphas_cumprod at t
  at::Tensor alpha_bar_previous;  // at t - 1; 1 at t = 0
  at::Tensor beta;
  at::Tensor posterior_log_variance;  // log of beta (1 - alpha_bar_previous) / (1 - alpha_bar), at t = 0 that
                                      // of t = 1
};

/// mean (prediction - target)^2 per image: [N, C, H, W] twice -> [N].
at::Tensor mean_squared_error(const at::Tensor& prediction, const at::Tensor& target);

/// The term of the variational bound that trains the variance, in bits per dimension (Nichol and Dhariwal
/// 2021, L_vlb of one timestep): KL(q(x_{t-1} | x_t, x) || p(x_{t-1} | x_t)), at t = 0 the negative
/// log-likelihood of x in steps of 1/255.
///   x, x_t           [N, C, H, W], the image in [-1, 1] and its noisy form
///   predicted_noise  [N, C, H, W]; its gradient is cut, as this term is to train the variance alone
///   variance_values  [N, C, H, W]: -1 means the least variance (the posterior's), 1 the largest (beta)
///   t                [N] int64
/// -> [N] with gradient. The official code multiplies it by (number of timesteps) / 1000.
at::Tensor variational_bound(const at::Tensor& x, const at::Tensor& x_t, const at::Tensor& predicted_noise,
                             const at::Tensor& variance_values, const at::Tensor& t,
                             const DiffusionCoefficients& coefficients);

/// Weights per image for a model that predicts the noise, from alpha_bar [N]; SNR = alpha_bar / (1 -
/// alpha_bar).
at::Tensor min_snr_weight(const at::Tensor& alpha_bar,
                          double gamma = 5.0);  // min(SNR, gamma) / SNR; Hang et al. 2023
at::Tensor p2_weight(const at::Tensor& alpha_bar, double gamma = 1.0,
                     double k = 1.0);  // 1 / (k + SNR)^gamma; Choi et al. 2022

/// Losses of tasks of different noise balanced by learned variances (Kendall et al. 2018): exp(-s) loss + s,
/// with s the log-variance of each image's group of timesteps, [N] with gradient. Least at s = log(loss).
at::Tensor uncertainty_weighted(const at::Tensor& loss, const at::Tensor& log_variance);

}  // namespace switchyard::train

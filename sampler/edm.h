// The samplers of Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models".
#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <span>

#include "sampler/problem.h"

namespace switchyard::sampler {

/// Noise added before each step, algorithm 2.
struct Churn {
  double amount = 0;  // S_churn over all steps; 0 makes it deterministic
  double t_min = 0;   // S_tmin, S_tmax: only where sigma / alpha is between them
  double t_max = std::numeric_limits<double>::infinity();
  double noise = 1;  // S_noise: the noise's standard deviation

  bool operator==(const Churn&) const = default;
};

/// Throws std::invalid_argument for negative or non-finite numbers (t_max may be infinite).
void validate(const Churn& churn);

/// Algorithm 2 in sigma / alpha, for "edm" and the discrete schedules. With churn, one draw in every step,
/// also where it is not used. heun = false leaves out the second-order correction.
std::optional<at::Tensor> solve_edm(const Problem& problem, at::Tensor x, const Churn& churn,
                                    bool heun = true);

/// sigma(t), s(t) and their derivatives, of x_t = s(t) (x_0 + sigma(t) noise).
struct ScaledNoise {
  double sigma, sigma_dot, scale, scale_dot;
};

/// The variance-preserving choice of Song et al. 2021 in these terms, table 1: sigma(t)^2 = exp(beta_d t^2 /
/// 2 + beta_min t) - 1, s = 1 / sqrt(1 + sigma^2).
ScaledNoise vp_noise(double t, double beta_d = 19.9, double beta_min = 0.1);

/// Algorithm 1: Heun's method in t itself, for any sigma(t) and s(t).
///   clean  D(x; sigma), the clean image of x = x_0 + sigma noise
///   times  falling; a last one of 0 is reached by Euler's method
/// Throws std::invalid_argument for fewer than two times.
at::Tensor solve_scaled_heun(const Denoiser& clean, at::Tensor x, std::span<const double> times,
                             const std::function<ScaledNoise(double t)>& noise_at);

}  // namespace switchyard::sampler

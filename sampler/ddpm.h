// Ancestral sampling of denoising diffusion (Ho et al. 2020, algorithm 2), and its posterior.
#pragma once

#include <optional>

#include "sampler/problem.h"

namespace switchyard::sampler {

/// q(x_to | x_from, x_0) = N(coef_clean x_0 + coef_x x_from, variance), Ho et al. 2020, equations 6 and 7, of
/// any two levels that preserve variance: a respaced schedule needs no betas of its own.
struct Posterior {
  double coef_clean, coef_x;
  double variance;  // beta tilde
  double beta;      // 1 - alpha_from^2 / alpha_to^2
};
Posterior posterior(const Step& step);

/// The variance of the noise that a step adds.
enum class Variance {
  fixed_small,    // beta tilde
  fixed_large,    // beta
  learned_range,  // exp of the model's mix of log beta tilde and log beta; needs noise_and_variance
};

/// Adds noise, one draw, in every step from t > 0.
std::optional<at::Tensor> solve_ddpm(const Problem& problem, at::Tensor x, Variance variance);

}  // namespace switchyard::sampler

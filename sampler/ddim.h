// Solvers that predict x_0 and the noise, and go on with part of that noise and part of fresh noise:
//
//   x_to = alpha_to x_0 + sqrt(sigma_to^2 - s^2) noise + s fresh
//
//   ddim              s = eta s_ancestral     Song et al. 2020, equation 12; eta = 0 adds nothing and is
//   Euler's
//                                             method in sigma / alpha, eta = 1 is DDPM with the small
//                                             variance
//   euler_ancestral   s = s_ancestral         as in k-diffusion
//   euler_stochastic  s = sigma_to            all noise is fresh
//
// s_ancestral = sigma_to sqrt(1 - r^2), r = ratio(to) / ratio(from): the share that forgets the predicted
// noise and keeps the marginals.
#pragma once

#include <optional>

#include "sampler/problem.h"

namespace switchyard::sampler {

/// One draw per step where eta > 0. eta in 0..1, else std::invalid_argument.
std::optional<at::Tensor> solve_ddim(const Problem& problem, at::Tensor x, double eta);

/// One draw per step each.
std::optional<at::Tensor> solve_euler_ancestral(const Problem& problem, at::Tensor x);
std::optional<at::Tensor> solve_euler_stochastic(const Problem& problem, at::Tensor x);

}  // namespace switchyard::sampler

#include "sampler/ddpm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/exp.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace switchyard::sampler {

Posterior posterior(const Step& step) {
  const auto& [from, to] = step;
  const double abar = from.alpha * from.alpha, abar_to = to.alpha * to.alpha;
  const double noise = from.sigma * from.sigma, noise_to = to.sigma * to.sigma;  // 1 - abar of each
  const double beta = 1 - abar / abar_to;
  return {.coef_clean = to.alpha * beta / noise,
          .coef_x = from.alpha / to.alpha * noise_to / noise,
          .variance = beta * noise_to / noise,
          .beta = beta};
}

std::optional<at::Tensor> solve_ddpm(const Problem& problem, at::Tensor x, Variance variance) {
  constexpr double kLeastVariance = 1e-20;
  if (variance == Variance::learned_range && problem.prediction != Prediction::noise_and_variance) {
    throw std::invalid_argument("ddpm: a learned variance needs a noise_and_variance prediction");
  }
  for (std::size_t i = 0; i < problem.steps.size(); ++i) {
    const Posterior q = posterior(problem.steps[i]);
    const Estimate e = problem.estimate(x, problem.steps[i].from);
    at::Tensor x_next = q.coef_clean * e.clean + q.coef_x * x;  // [N,C,H,W] the posterior's mean
    if (problem.steps[i].from.t > 0) {
      const at::Tensor n = problem.noise_like(x);  // [N,C,H,W]
      const double small = std::max(q.variance, kLeastVariance);
      if (variance == Variance::learned_range) {
        const at::Tensor share = (e.variance + 1) / 2;  // [N,C,H,W] 0: small, 1: large
        const at::Tensor log_variance = share * std::log(q.beta) + (1 - share) * std::log(small);
        x_next = x_next + at::exp(0.5 * log_variance) * n;
      } else {
        x_next = x_next + std::sqrt(variance == Variance::fixed_small ? small : q.beta) * n;
      }
    }
    if (!problem.step_done(i, x_next, e.clean)) return std::nullopt;
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

}  // namespace switchyard::sampler

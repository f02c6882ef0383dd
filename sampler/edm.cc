#include "sampler/edm.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "sampler/ode.h"

namespace switchyard::sampler {

void validate(const Churn& churn) {
  const auto good = [](double value) { return std::isfinite(value) && value >= 0; };
  if (good(churn.amount) && good(churn.t_min) && churn.t_max >= churn.t_min && good(churn.noise)) return;
  throw std::invalid_argument(
      c10::str("churn is ", churn.amount, " between ", churn.t_min, " and ", churn.t_max, ", noise ",
               churn.noise, "; expected finite numbers that are not negative, and t_min <= t_max"));
}

std::optional<at::Tensor> solve_edm(const Problem& problem, at::Tensor x, const Churn& churn, bool heun) {
  validate(churn);
  const double gamma_most = std::sqrt(2.0) - 1;
  const double gamma_here = std::min(churn.amount / static_cast<double>(problem.steps.size()), gamma_most);
  for (std::size_t i = 0; i < problem.steps.size(); ++i) {
    const auto& [from, to] = problem.steps[i];
    Level hat = from;
    at::Tensor x_hat = x;  // [N,C,H,W]
    if (churn.amount > 0) {
      const at::Tensor n = problem.noise_like(x);  // [N,C,H,W]
      const double u = ratio(from);
      if (churn.t_min <= u && u <= churn.t_max) {
        const double u_hat = u + gamma_here * u;
        hat = problem.schedule.at_ratio(u_hat);
        x_hat =
            (hat.alpha / from.alpha) * x + (hat.alpha * std::sqrt(u_hat * u_hat - u * u) * churn.noise) * n;
      }
    }
    const at::Tensor d_cur = slope(problem, x_hat, hat);  // [N,C,H,W]
    const at::Tensor x_next = heun ? heun_rest(problem, x_hat, d_cur, hat, to)
                                   : euler_move(problem, x_hat, d_cur, hat, to);  // [N,C,H,W]
    if (problem.on_step && !problem.step_done(i, x_next, clean_from_slope(problem, x_hat, d_cur, hat))) {
      return std::nullopt;
    }
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

ScaledNoise vp_noise(double t, double beta_d, double beta_min) {
  const double sigma = std::sqrt(std::expm1(0.5 * beta_d * t * t + beta_min * t));
  const double sigma_dot = 0.5 * (beta_d * t + beta_min) * (sigma + 1 / sigma);
  const double scale = 1 / std::sqrt(1 + sigma * sigma);
  return {sigma, sigma_dot, scale, -sigma * sigma_dot * scale * scale * scale};
}

at::Tensor solve_scaled_heun(const Denoiser& clean, at::Tensor x, std::span<const double> times,
                             const std::function<ScaledNoise(double t)>& noise_at) {
  if (times.size() < 2) {
    throw std::invalid_argument(c10::str("solve: ", times.size(), " times, expected at least 2"));
  }
  const auto derivative = [&](const at::Tensor& z, double t) {  // equation 81
    const ScaledNoise n = noise_at(t);
    return (n.sigma_dot / n.sigma + n.scale_dot / n.scale) * z -
           (n.sigma_dot * n.scale / n.sigma) * clean(z / n.scale, n.sigma);  // [N,C,H,W]
  };
  for (std::size_t i = 0; i + 1 < times.size(); ++i) {
    const double t = times[i], h = times[i + 1] - t;
    const at::Tensor d_cur = derivative(x, t);  // [N,C,H,W]
    at::Tensor x_next = x + h * d_cur;          // [N,C,H,W]
    if (times[i + 1] != 0) x_next = x + h * (0.5 * (d_cur + derivative(x_next, times[i + 1])));
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

}  // namespace switchyard::sampler

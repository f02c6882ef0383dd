#include "sampler/dpm_solver.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <stdexcept>

namespace switchyard::sampler {
namespace {

constexpr std::size_t kFewSteps = 15;

// A predicted clean image and the lambda at which it was.
struct Past {
  double lambda;
  at::Tensor clean;  // [N,C,H,W]
};

// The order that the step and what is known allow. A past at lambda = -inf, pure noise of a rectified flow,
// tells nothing about the slope in lambda.
int order_of(const Problem& problem, const DpmOptions& options, std::size_t i, const std::deque<Past>& past) {
  const auto left = problem.steps.size() - i;
  const bool few = options.lower_order_final && problem.steps.size() < kFewSteps;
  int order = options.order;
  if (few) order = std::min(order, static_cast<int>(std::min<std::size_t>(left, 3)));
  if (left == 1 && (options.first_order_final || problem.steps[i].to.sigma == 0)) order = 1;
  int known = 0;
  while (known < static_cast<int>(past.size()) && std::isfinite(past[known].lambda)) ++known;
  return std::clamp(order, 1, std::max(known, 1));
}

at::Tensor step(const Step& step, const at::Tensor& x, const std::deque<Past>& past, int order, bool heun) {
  const auto& [from, to] = step;
  const double h = lambda(to) - past[0].lambda;
  const double phi_1 = std::expm1(-h);  // e^-h - 1
  const double phi_2 = phi_1 / h + 1;   // both -> their limits at h = infinity
  const double phi_3 = (phi_1 + h) / (h * h) - 0.5;

  const at::Tensor& d0 = past[0].clean;
  const at::Tensor first = (to.sigma / from.sigma) * x - (to.alpha * phi_1) * d0;  // [N,C,H,W]
  if (order == 1) return first;

  const double r0 = (past[0].lambda - past[1].lambda) / h;
  const at::Tensor d1_0 = (d0 - past[1].clean) / r0;  // [N,C,H,W]
  if (order == 2) return first + (heun ? to.alpha * phi_2 : -0.5 * to.alpha * phi_1) * d1_0;

  const double r1 = (past[1].lambda - past[2].lambda) / h;
  const at::Tensor d1_1 = (past[1].clean - past[2].clean) / r1;   // [N,C,H,W]
  const at::Tensor d1 = d1_0 + (r0 / (r0 + r1)) * (d1_0 - d1_1);  // [N,C,H,W]
  const at::Tensor d2 = (d1_0 - d1_1) / (r0 + r1);                // [N,C,H,W]
  return first + (to.alpha * phi_2) * d1 - (to.alpha * phi_3) * d2;
}

at::Tensor stochastic_step(const Step& step, const at::Tensor& x, const at::Tensor& noise,
                           const std::deque<Past>& past, int order, bool heun) {
  const auto& [from, to] = step;
  const double h = lambda(to) - past[0].lambda;
  const double share = -std::expm1(-2 * h);  // 1 - e^-2h
  const at::Tensor& d0 = past[0].clean;
  const at::Tensor first = (to.sigma / from.sigma * std::exp(-h)) * x + (to.alpha * share) * d0 +
                           (to.sigma * std::sqrt(share)) * noise;  // [N,C,H,W]
  if (order == 1) return first;

  const double r0 = (past[0].lambda - past[1].lambda) / h;
  const at::Tensor d1 = (d0 - past[1].clean) / r0;  // [N,C,H,W]
  return first + to.alpha * (heun ? share / (-2 * h) + 1 : 0.5 * share) * d1;
}

}  // namespace

std::optional<at::Tensor> solve_dpm(const Problem& problem, at::Tensor x, const DpmOptions& options) {
  const int most = options.stochastic ? 2 : 3;
  if (options.order < 1 || options.order > most) {
    throw std::invalid_argument(c10::str("DPM-Solver++: order is ", options.order, ", expected 1..", most));
  }
  std::deque<Past> past;  // newest first
  for (std::size_t i = 0; i < problem.steps.size(); ++i) {
    const Step& s = problem.steps[i];
    past.push_front({lambda(s.from), problem.estimate(x, s.from).clean});
    if (past.size() > 3) past.pop_back();
    const int order = order_of(problem, options, i, past);
    const at::Tensor x_next = options.stochastic
                                  ? stochastic_step(s, x, problem.noise_like(x), past, order, options.heun)
                                  : step(s, x, past, order, options.heun);  // [N,C,H,W]
    if (!problem.step_done(i, x_next, past[0].clean)) return std::nullopt;
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

}  // namespace switchyard::sampler

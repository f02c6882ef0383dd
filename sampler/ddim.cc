#include "sampler/ddim.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace switchyard::sampler {
namespace {

double ancestral(const Step& step) {
  const auto& [from, to] = step;
  const double r = to.sigma * from.alpha / (to.alpha * from.sigma);
  return to.sigma * std::sqrt(std::max(1 - r * r, 0.0));
}

template <class Fresh>
std::optional<at::Tensor> solve(const Problem& problem, at::Tensor x, bool stochastic, const Fresh& fresh) {
  for (std::size_t i = 0; i < problem.steps.size(); ++i) {
    const auto& [from, to] = problem.steps[i];
    const Estimate e = problem.estimate(x, from);
    const double s = fresh(problem.steps[i]);
    const double kept = std::sqrt(std::max(to.sigma * to.sigma - s * s, 0.0));
    at::Tensor x_next = to.alpha * e.clean + kept * e.noise;      // [N,C,H,W]
    if (stochastic) x_next = x_next + s * problem.noise_like(x);  // [N,C,H,W]
    if (!problem.step_done(i, x_next, e.clean)) return std::nullopt;
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

}  // namespace

std::optional<at::Tensor> solve_ddim(const Problem& problem, at::Tensor x, double eta) {
  if (!(0 <= eta && eta <= 1)) throw std::invalid_argument(c10::str("eta is ", eta, ", expected 0..1"));
  return solve(problem, std::move(x), eta > 0, [&](const Step& step) { return eta * ancestral(step); });
}

std::optional<at::Tensor> solve_euler_ancestral(const Problem& problem, at::Tensor x) {
  return solve(problem, std::move(x), true, ancestral);
}

std::optional<at::Tensor> solve_euler_stochastic(const Problem& problem, at::Tensor x) {
  return solve(problem, std::move(x), true, [](const Step& step) { return step.to.sigma; });
}

}  // namespace switchyard::sampler

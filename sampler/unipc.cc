#include "sampler/unipc.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <stdexcept>

namespace switchyard::sampler {
namespace {

// A prediction (clean image or noise) and the lambda at which it was.
struct Past {
  double lambda;
  at::Tensor model;  // [N,C,H,W]
};

// sum_j a[i][j] x[j] = b[i], by elimination with the largest pivot; at most three unknowns.
std::vector<double> solve_linear(std::vector<std::vector<double>> a, std::vector<double> b) {
  const std::size_t n = b.size();
  for (std::size_t k = 0; k < n; ++k) {
    std::size_t pivot = k;
    for (std::size_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i][k]) > std::abs(a[pivot][k])) pivot = i;
    }
    std::swap(a[k], a[pivot]);
    std::swap(b[k], b[pivot]);
    for (std::size_t i = k + 1; i < n; ++i) {
      const double factor = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= factor * a[k][j];
      b[i] -= factor * b[k];
    }
  }
  for (std::size_t k = n; k-- > 0;) {
    for (std::size_t j = k + 1; j < n; ++j) b[k] -= a[k][j] * b[j];
    b[k] /= a[k][k];
  }
  return b;
}

class Unipc {
 public:
  Unipc(const Problem& problem, const UnipcOptions& options) : problem_(problem), options_(options) {}

  // past[0] is the model at step.from. `order` points are used: step.from and the order - 1 before it; with
  // `ahead`, the model at step.to, also that one.
  at::Tensor move(const Step& step, const at::Tensor& x, const std::deque<Past>& past, int order,
                  const at::Tensor* ahead) const {
    const auto& [from, to] = step;
    const double h = lambda(to) - past[0].lambda;
    const double hh = options_.predict_noise ? h : -h;
    const double phi_1 = std::expm1(hh);
    const double b_h = options_.bh1 ? hh : phi_1;
    const at::Tensor& m0 = past[0].model;

    // Divided differences D_k = (m_k - m_0) / r_k, and the weights rho that match the Taylor terms:
    //   sum_k rho_k r_k^(i-1) = i! phi_(i+1)(hh) / B(h)
    std::vector<double> r;
    std::vector<at::Tensor> d;  // [N,C,H,W] each
    for (int k = 1; k < order; ++k) {
      r.push_back((past[k].lambda - past[0].lambda) / h);
      d.push_back((past[k].model - m0) / r.back());
    }
    if (ahead != nullptr) {
      r.push_back(1.0);
      d.push_back(*ahead - m0);
    }
    const std::vector<double> rho = weights(r, hh, b_h);

    const bool noise = options_.predict_noise;
    at::Tensor moved = (noise ? to.alpha / from.alpha : to.sigma / from.sigma) * x -
                       ((noise ? to.sigma : to.alpha) * phi_1) * m0;  // [N,C,H,W]
    for (std::size_t k = 0; k < d.size(); ++k) {
      moved = moved - ((noise ? to.sigma : to.alpha) * b_h * rho[k]) * d[k];
    }
    return moved;
  }

 private:
  static std::vector<double> weights(const std::vector<double>& r, double hh, double b_h) {
    if (r.size() == 1) return {0.5};  // order 2 whatever B(h) is, as published
    std::vector<std::vector<double>> powers;
    std::vector<double> moments;
    double phi = std::expm1(hh) / hh - 1, factorial = 1;
    for (std::size_t i = 0; i < r.size(); ++i) {
      powers.emplace_back();
      for (const double r_k : r) powers.back().push_back(std::pow(r_k, static_cast<double>(i)));
      moments.push_back(phi * factorial / b_h);
      factorial *= static_cast<double>(i + 2);
      phi = phi / hh - 1 / factorial;
    }
    return solve_linear(std::move(powers), std::move(moments));
  }

  const Problem& problem_;
  const UnipcOptions& options_;
};

}  // namespace

std::optional<at::Tensor> solve_unipc(const Problem& problem, at::Tensor x, const UnipcOptions& options) {
  if (options.order < 1 || options.order > 3) {
    throw std::invalid_argument(c10::str("UniPC: order is ", options.order, ", expected 1..3"));
  }
  const auto& steps = problem.steps;
  if ((options.bh1 || options.predict_noise) && !steps.empty() && steps.back().to.sigma == 0) {
    throw std::invalid_argument("UniPC: bh1 and noise predictions cannot step to sigma = 0");
  }
  const Unipc unipc(problem, options);
  std::deque<Past> past;  // newest first
  at::Tensor x_last;      // [N,C,H,W] where the last step began
  int order_last = 1;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const Estimate e = problem.estimate(x, step.from);
    const at::Tensor model = options.predict_noise ? e.noise : e.clean;  // [N,C,H,W]
    const auto skips = [&](int k) { return std::ranges::count(options.without_corrector, k) > 0; };
    if (i > 0 && !skips(static_cast<int>(i) - 1)) {
      x = unipc.move(steps[i - 1], x_last, past, order_last, &model);  // [N,C,H,W] corrected
    }
    past.push_front({lambda(step.from), model});
    if (past.size() > 3) past.pop_back();

    int order = options.order;
    if (options.lower_order_final)
      order = std::min(order, static_cast<int>(std::min<std::size_t>(steps.size() - i, 3)));
    if (step.to.sigma == 0) order = 1;
    int known = 0;  // pure noise of a rectified flow, lambda = -inf, tells nothing about the slope in lambda
    while (known < static_cast<int>(past.size()) && std::isfinite(past[known].lambda)) ++known;
    order = std::clamp(order, 1, std::max(known, 1));

    const at::Tensor x_next = unipc.move(step, x, past, order, nullptr);  // [N,C,H,W]
    if (!problem.step_done(i, x_next, e.clean)) return std::nullopt;
    x_last = x;
    order_last = order;
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

}  // namespace switchyard::sampler

#include "sampler/ode.h"

#include <ATen/TensorOperators.h>

#include <cmath>

#include "sampler/flow.h"

namespace switchyard::sampler {
namespace {

struct Place {
  double scale, u;  // y = x / scale at u
};

Place place(const Problem& problem, const Level& level) {
  if (problem.schedule.is_flow()) return {1, level.t};
  if (problem.schedule.is_circle()) return {1, std::atan2(level.sigma, level.alpha)};
  return {level.alpha, ratio(level)};
}

// A step goes from x at `from` to `to`; d_cur = slope(x, from) is given.
template <class Step>
std::optional<at::Tensor> solve_one_step(const Problem& problem, at::Tensor x, const Step& step) {
  for (std::size_t i = 0; i < problem.steps.size(); ++i) {
    const auto& [from, to] = problem.steps[i];
    const at::Tensor d_cur = slope(problem, x, from);       // [N,C,H,W]
    const at::Tensor x_next = step(x, d_cur, from, to, i);  // [N,C,H,W]
    if (problem.on_step && !problem.step_done(i, x_next, clean_from_slope(problem, x, d_cur, from))) {
      return std::nullopt;
    }
    x = x_next;
  }
  return x;  // [N,C,H,W]
}

}  // namespace

at::Tensor euler_move(const Problem& problem, const at::Tensor& x, const at::Tensor& d, const Level& from,
                      const Level& to) {
  const Place a = place(problem, from), b = place(problem, to);
  if (a.scale == b.scale) return x + (b.scale * (b.u - a.u)) * d;
  return (b.scale / a.scale) * x + (b.scale * (b.u - a.u)) * d;
}

at::Tensor slope(const Problem& problem, const at::Tensor& x, const Level& at) {
  if (problem.schedule.is_circle()) {
    if (problem.prediction == Prediction::v && !problem.limit.active()) return problem.output(x, at.t);
    const auto e = problem.estimate(x, at);
    return at.alpha * e.noise - at.sigma * e.clean;
  }
  if (!problem.schedule.is_flow()) return problem.estimate(x, at).noise;
  const auto prediction = problem.prediction;
  const auto out = problem.output(x, at.t);
  if (!problem.limit.active()) return velocity_from(prediction, out, x, at.t);
  return velocity_from(Prediction::clean_image, limited(clean_from(prediction, out, x, at.t), problem.limit),
                       x, at.t);
}

Prediction meaning_of_slope(const Schedule& schedule) {
  return schedule.is_flow() ? Prediction::velocity : schedule.is_circle() ? Prediction::v : Prediction::noise;
}

at::Tensor clean_from_slope(const Problem& problem, const at::Tensor& x, const at::Tensor& d,
                            const Level& at) {
  return clean_from(meaning_of_slope(problem.schedule), d, x, at);
}

at::Tensor heun_rest(const Problem& problem, const at::Tensor& x, const at::Tensor& d_cur, const Level& from,
                     const Level& to) {
  const at::Tensor x_euler = euler_move(problem, x, d_cur, from, to);  // [N,C,H,W]
  if (to.sigma == 0) return x_euler;
  const at::Tensor d_prime = slope(problem, x_euler, to);            // [N,C,H,W]
  return euler_move(problem, x, 0.5 * (d_cur + d_prime), from, to);  // [N,C,H,W]
}

std::optional<at::Tensor> solve_euler(const Problem& problem, at::Tensor x) {
  return solve_one_step(
      problem, std::move(x),
      [&](const at::Tensor& x_cur, const at::Tensor& d_cur, const Level& from, const Level& to, std::size_t) {
        return euler_move(problem, x_cur, d_cur, from, to);
      });
}

std::optional<at::Tensor> solve_heun(const Problem& problem, at::Tensor x) {
  return solve_one_step(
      problem, std::move(x),
      [&](const at::Tensor& x_cur, const at::Tensor& d_cur, const Level& from, const Level& to, std::size_t) {
        return heun_rest(problem, x_cur, d_cur, from, to);
      });
}

std::optional<at::Tensor> solve_midpoint(const Problem& problem, at::Tensor x) {
  const auto& schedule = problem.schedule;
  return solve_one_step(
      problem, std::move(x),
      [&](const at::Tensor& x_cur, const at::Tensor& d_cur, const Level& from, const Level& to, std::size_t) {
        const double u_mid = 0.5 * (place(problem, from).u + place(problem, to).u);
        const Level mid =
            schedule.in_unit_time() ? schedule.level(0.5 * (from.t + to.t)) : schedule.at_ratio(u_mid);
        const at::Tensor x_mid = euler_move(problem, x_cur, d_cur, from, mid);    // [N,C,H,W]
        return euler_move(problem, x_cur, slope(problem, x_mid, mid), from, to);  // [N,C,H,W]
      });
}

std::optional<at::Tensor> solve_adams_bashforth(const Problem& problem, at::Tensor x) {
  at::Tensor d_last;  // [N,C,H,W]
  double h_last = 0;
  return solve_one_step(problem, std::move(x),
                        [&](const at::Tensor& x_cur, const at::Tensor& d_cur, const Level& from,
                            const Level& to, std::size_t i) {
                          const double h = place(problem, to).u - place(problem, from).u;
                          const at::Tensor d = i == 0 ? d_cur
                                                      : (1 + h / (2 * h_last)) * d_cur -
                                                            (h / (2 * h_last)) * d_last;  // [N,C,H,W]
                          d_last = d_cur;
                          h_last = h;
                          return euler_move(problem, x_cur, d, from, to);
                        });
}

}  // namespace switchyard::sampler

// Every solver converges with its order, on data whose flow is known.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "parity_case.h"
#include "sampler/ddim.h"
#include "sampler/ddpm.h"
#include "sampler/grid.h"
#include "sampler/solvers.h"
#include "sampler/spacing.h"

namespace switchyard::sampler {
namespace {

struct OrderCase {
  Solver solver;
  double least, most;  // of the measured order
};

std::string name_of(const testing::TestParamInfo<OrderCase>& info) {
  return std::string(to_string(info.param.solver));
}

// The fixtures' mixture, and where the reference says that the ODE ends.
class OrderOnMixture : public testing::TestWithParam<OrderCase> {};

TEST_P(OrderOnMixture, OfTheEdmSchedule) {
  const auto tensors = parity_tensors("edm/ode_endpoint_point.safetensors");
  const auto mixture = parity_mixture("point");
  const auto range = tensors.at("sigma_max_min").contiguous();
  const double most = range[0].item<double>(), least = range[1].item<double>();
  Problem p{.schedule = Schedule("edm"), .prediction = Prediction::clean_image};
  p.denoiser = [&](const at::Tensor& x, double t) { return mixture.clean(x, 1, t); };
  p.draw = [&] { return at::zeros_like(tensors.at("x_init_noise")); };
  const auto error = [&](int steps) {
    auto levels = levels_of_ratios(p.schedule, karras_ratios(most, least, steps + 1), false);
    const Level end = levels.back();
    levels.pop_back();
    p.steps = chain(levels, end);
    const auto x = *solve({.solver = GetParam().solver}, p, most * tensors.at("x_init_noise"));
    return (x - tensors.at("x_at_sigma_min")).abs().max().item<double>();
  };
  const double order = std::log2(error(128) / error(256));
  EXPECT_GE(order, GetParam().least);
  EXPECT_LE(order, GetParam().most);
}

INSTANTIATE_TEST_SUITE_P(
    Solvers, OrderOnMixture,
    testing::Values(OrderCase{Solver::euler, 0.9, 1.1}, OrderCase{Solver::ddim, 0.9, 1.1},
                    OrderCase{Solver::heun, 1.9, 2.2}, OrderCase{Solver::midpoint, 1.9, 2.2},
                    OrderCase{Solver::adams_bashforth, 1.8, 2.3}, OrderCase{Solver::edm_heun, 1.9, 2.2},
                    OrderCase{Solver::dpmpp_2m, 1.8, 2.3}, OrderCase{Solver::dpmpp_3m, 1.9, 3.4},
                    OrderCase{Solver::unipc, 1.8, 3.3}),
    name_of);

class OrderOnFlow : public testing::TestWithParam<OrderCase> {};

TEST_P(OrderOnFlow, OfTheMixture) {
  const auto tensors = parity_tensors("flow/uniform_euler_point.safetensors");
  const auto mixture = parity_mixture("point");
  constexpr double kEnd = 1e-6;
  Problem p{.schedule = Schedule("rectified_flow"), .prediction = Prediction::clean_image};
  p.denoiser = [&](const at::Tensor& x, double t) { return mixture.clean(x, 1 - t, t); };
  const auto error = [&](int steps) {
    p.steps.clear();
    const auto t = [&](int i) { return 1 + (kEnd - 1) * i / steps; };
    for (int i = 0; i < steps; ++i) p.steps.push_back({p.schedule.level(t(i)), p.schedule.level(t(i + 1))});
    const auto x = *solve({.solver = GetParam().solver}, p, tensors.at("x_init_noise"));
    return (x - tensors.at("ode_endpoint_t1e-6")).abs().max().item<double>();
  };
  const double order = std::log2(error(256) / error(512));
  EXPECT_GE(order, GetParam().least);
  EXPECT_LE(order, GetParam().most);
}

INSTANTIATE_TEST_SUITE_P(Solvers, OrderOnFlow,
                         testing::Values(OrderCase{Solver::euler, 0.9, 1.1},
                                         OrderCase{Solver::heun, 1.8, 2.4},
                                         OrderCase{Solver::midpoint, 1.8, 2.4},
                                         OrderCase{Solver::adams_bashforth, 1.8, 2.4}),
                         name_of);

// Solvers that add noise, on data N(0, kStd^2) of one number. Everything is linear, so the variance at the
// end is the sum of the squares of what the start and each draw contribute: one row of the batch each, no
// sampling.
constexpr double kStd = 0.5;

struct Stochastic {
  const char* name;
  std::function<std::optional<at::Tensor>(const Problem&, at::Tensor)> solve;
  double least, most;  // of the order of the variance's error
};

class WeakOrder : public testing::TestWithParam<Stochastic> {};

double variance_at_end(const Stochastic& stochastic, Problem& p) {
  const auto rows = static_cast<std::int64_t>(p.steps.size()) + 1;
  p.prediction = Prediction::clean_image;
  p.denoiser = [&p](const at::Tensor& x, double t) {
    const Level at = p.schedule.level(t);
    const double a = at.alpha, v = a * a * kStd * kStd + at.sigma * at.sigma;
    return a * kStd * kStd / v * x;
  };
  std::int64_t draws = 0;
  p.draw = [&] {
    auto one = at::zeros({rows, 1}, at::kDouble);
    one[++draws] = 1.0;
    return one;
  };
  auto start = at::zeros({rows, 1}, at::kDouble);
  const Level& from = p.steps.front().from;
  start[0] = std::sqrt(from.alpha * from.alpha * kStd * kStd + from.sigma * from.sigma);
  return stochastic.solve(p, start)->square().sum().item<double>();
}

TEST_P(WeakOrder, OfTheVariance) {
  Problem p{.schedule = Schedule("edm")};
  const auto error = [&](int steps) {
    auto levels = levels_of_ratios(p.schedule, karras_ratios(80, 0.002, steps + 1), false);
    const Level end = levels.back();
    levels.pop_back();
    p.steps = chain(levels, end);
    return std::abs(variance_at_end(GetParam(), p) - (kStd * kStd + end.sigma * end.sigma));
  };
  const double order = std::log2(error(256) / error(512));
  EXPECT_LT(error(512), 0.03 * kStd * kStd);
  EXPECT_GE(order, GetParam().least);
  EXPECT_LE(order, GetParam().most);
}

auto with(SolverSettings settings) {
  return [settings](const Problem& p, at::Tensor x) { return solve(settings, p, std::move(x)); };
}

INSTANTIATE_TEST_SUITE_P(
    Solvers, WeakOrder,
    testing::Values(Stochastic{"ddim_half", with({.solver = Solver::ddim, .eta = 0.5}), 0.9, 1.1},
                    Stochastic{"ddim_one", with({.solver = Solver::ddim, .eta = 1}), 0.9, 1.1},
                    Stochastic{"euler_ancestral", with({.solver = Solver::euler_ancestral}), 0.9, 1.1},
                    Stochastic{"dpmpp_2m_sde", with({.solver = Solver::dpmpp_2m_sde}), 1.7, 2.4},
                    Stochastic{"edm_heun_churn", with({.solver = Solver::edm_heun, .churn = {.amount = 30}}),
                               1.7, 2.4}),
    [](const auto& test) { return test.param.name; });

// DDPM belongs to discrete schedules, whose steps are at most as many as their timesteps.
TEST(DdpmVariance, HalvesItsErrorWithTwiceTheSteps) {
  for (const auto variance : {Variance::fixed_small, Variance::fixed_large}) {
    const Stochastic ddpm{"ddpm", [&](const Problem& p, at::Tensor x) { return solve_ddpm(p, x, variance); },
                          0, 0};
    Problem p{.schedule = Schedule("cosine")};
    const auto error = [&](int steps) {
      p.steps = steps_of(p.schedule, Solver::ddpm, {.steps = steps});
      return std::abs(variance_at_end(ddpm, p) - kStd * kStd);
    };
    EXPECT_NEAR(std::log2(error(125) / error(250)), 1, 0.35) << static_cast<int>(variance);
  }
}

TEST(EulerStochastic, IsTheCleanImageWithFreshNoise) {
  Problem p{.schedule = Schedule("rectified_flow"), .prediction = Prediction::clean_image};
  p.denoiser = [](const at::Tensor& x, double) { return 0.25 * x; };
  p.draw = [] { return at::full({1, 2}, 3.0, at::kDouble); };
  p.steps = {{p.schedule.level(0.8), p.schedule.level(0.4)}};
  const auto x = *solve_euler_stochastic(p, at::ones({1, 2}, at::kDouble));
  EXPECT_TRUE(at::allclose(x, at::full({1, 2}, 0.6 * 0.25 + 0.4 * 3.0, at::kDouble)));
}

}  // namespace
}  // namespace switchyard::sampler

#include "sampler/solvers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "sampler/flow.h"
#include "sampler/guidance.h"
#include "sampler/noise.h"
#include "sampler/time_grid.h"

namespace switchyard::sampler {
namespace {

// Gaussian data x ~ N(mean, sigma^2), whose flow is known. With a = 1 - t and V = a^2 sigma^2 + t^2, the
// variance of z_t:   v(z, t) = (t - a sigma^2) / V (z - a mean) - mean,   z_t = a mean + sqrt(V) z_1
struct GaussianData {
  at::Tensor mean;  // [N,C,H,W] float64
  double sigma;

  at::Tensor velocity(const at::Tensor& z, double t) const {
    const double a = 1.0 - t;
    return (t - a * sigma * sigma) / (a * a * sigma * sigma + t * t) * (z - a * mean) - mean;
  }
  at::Tensor clean_image(const at::Tensor& z, double t) const { return z - t * velocity(z, t); }
  at::Tensor image(const at::Tensor& z_1) const { return mean + sigma * z_1; }
};

GaussianData gaussian_data() {
  return {at::linspace(-1.0, 1.0, 2 * 3 * 5 * 7, at::kDouble).reshape({2, 3, 5, 7}), 0.4};
}

at::Tensor start() { return at::sin(11.0 * gaussian_data().mean); }  // [2,3,5,7] float64, stands for noise

// Element-wise and not linear; products and sums only, whose vector and tail loops agree to the bit.
at::Tensor bent(const at::Tensor& z, double t) { return z * (0.5 + t) - 0.1 * (z * z); }

std::string solver_name(const testing::TestParamInfo<Solver>& info) {
  return std::string(to_string(info.param));
}

class EachSolver : public testing::TestWithParam<Solver> {};

INSTANTIATE_TEST_SUITE_P(Solvers, EachSolver, testing::Values(Solver::euler, Solver::heun, Solver::midpoint),
                         solver_name);

// Order of convergence over t = 1 .. 0: how often the error halves when the step does.
double measured_order(Solver solver, const Denoiser& velocity, const at::Tensor& z_1, const at::Tensor& z_0) {
  const auto error = [&](int steps) {
    return (*solve(solver, velocity, z_1, time_grid(steps)) - z_0).abs().max().item<double>();
  };
  return std::log2(error(128) / error(256));
}

TEST_P(EachSolver, ConvergesWithItsOrder) {
  const double order = GetParam() == Solver::euler ? 1.0 : 2.0;
  const auto square = [](const at::Tensor& z, double) { return z * z; };  // solved by 1/z_0 = 1/z_1 + 1
  const at::Tensor z_1 = 0.5 * start();
  EXPECT_NEAR(measured_order(GetParam(), square, z_1, z_1 / (1.0 + z_1)), order, 0.1);
}

// The midpoint's h^2 term vanishes for Gaussian data: with l = V'/(2V), it is l^3/6 + l l'/4 + l''/24 = 0.
TEST_P(EachSolver, ConvergesToGaussianData) {
  const double order = GetParam() == Solver::euler ? 1.0 : GetParam() == Solver::heun ? 2.0 : 3.0;
  const GaussianData data = gaussian_data();
  const auto velocity = [&](const at::Tensor& z, double t) { return data.velocity(z, t); };
  const auto clean_image = [&](const at::Tensor& z, double t) { return data.clean_image(z, t); };
  for (const Denoiser& v : {Denoiser(velocity), velocity_denoiser(Prediction::clean_image, clean_image)}) {
    EXPECT_NEAR(measured_order(GetParam(), v, start(), data.image(start())), order, 0.1);
  }
}

TEST_P(EachSolver, SolvesInFloat32) {
  const GaussianData data = gaussian_data();
  const GaussianData data32 = {data.mean.to(at::kFloat), data.sigma};
  const auto got = solve(
      GetParam(), [&](const at::Tensor& z, double t) { return data32.velocity(z, t); },
      start().to(at::kFloat), time_grid(25));
  const auto expected = solve(
      GetParam(), [&](const at::Tensor& z, double t) { return data.velocity(z, t); }, start(), time_grid(25));
  EXPECT_EQ(got->scalar_type(), at::kFloat);
  EXPECT_LT((*got - *expected).abs().max().item<double>(), 2e-6);
}

TEST_P(EachSolver, ImageDoesNotDependOnItsBatch) {
  const std::vector<std::int64_t> chw = {3, 65, 67};  // eight are enough for libtorch to use several threads
  std::vector<std::uint64_t> seeds(8);
  std::iota(seeds.begin(), seeds.end(), 100);
  const Denoiser v =
      guide(bent, [](const at::Tensor& z, double t) { return std::pair(bent(z, t), bent(z, 0.5 * t)); },
            {1.7, 0.2, 0.8});
  const auto images = [&](std::size_t first, std::size_t count) {
    return *solve(GetParam(), v, initial_noise(std::span(seeds).subspan(first, count), chw),
                  time_grid(7, 1.5));
  };
  const at::Tensor of_eight = images(0, 8);
  for (const std::size_t batch : {1, 3}) {
    for (std::size_t first = 0; first + batch <= seeds.size(); first += batch) {
      const auto from = static_cast<std::int64_t>(first), to = static_cast<std::int64_t>(first + batch);
      EXPECT_TRUE(at::equal(images(first, batch), of_eight.slice(0, from, to))) << batch << " from " << first;
    }
  }
}

TEST_P(EachSolver, ImageDoesNotDependOnBeingWatched) {
  const at::Tensor z = start().to(at::kFloat);
  const at::Tensor watched = *solve(GetParam(), bent, z, time_grid(9), [](const StepInfo&) { return true; });
  EXPECT_TRUE(at::equal(watched, *solve(GetParam(), bent, z, time_grid(9))));
}

TEST_P(EachSolver, LeavesItsStartAlone) {
  const at::Tensor z = start();
  solve(GetParam(), bent, z, time_grid(4));
  EXPECT_TRUE(at::equal(z, start()));
}

TEST_P(EachSolver, NeverEvaluatesAtTimeZero) {
  double least = 1.0;
  int calls = 0;
  const auto v = [&](const at::Tensor& z, double t) {
    return least = std::min(least, t), ++calls, bent(z, t);
  };
  solve(GetParam(), v, start(), time_grid(10));
  EXPECT_EQ(least, GetParam() == Solver::midpoint ? 0.05 : 0.1);
  EXPECT_EQ(calls, GetParam() == Solver::euler ? 10 : GetParam() == Solver::heun ? 19 : 20);
}

TEST_P(EachSolver, ReportsEveryStep) {
  const auto times = time_grid(5, 2.0);
  std::vector<StepInfo> seen;
  const auto image =
      solve(GetParam(), bent, start(), times, [&](const StepInfo& s) { return seen.push_back(s), true; });
  ASSERT_EQ(seen.size(), 5u);
  at::Tensor z = start();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(seen[i].index, i);
    EXPECT_EQ(seen[i].steps, 5);
    EXPECT_EQ(seen[i].t, times[i]);
    EXPECT_EQ(seen[i].t_next, times[i + 1]);
    EXPECT_TRUE(at::allclose(seen[i].x_hat, z - times[i] * bent(z, times[i]), 1e-12, 1e-12)) << i;
    z = seen[i].z;
  }
  EXPECT_TRUE(at::equal(z, *image));
}

TEST_P(EachSolver, CancelsWithinOneStep) {
  for (const int last : {0, 2, 4}) {
    int evaluations_after = 0, reported = 0;
    bool cancelled = false;
    const auto v = [&](const at::Tensor& z, double t) { return evaluations_after += cancelled, bent(z, t); };
    const auto on_step = [&](const StepInfo& s) { return ++reported, !(cancelled = s.index == last); };
    EXPECT_FALSE(solve(GetParam(), v, start(), time_grid(5), on_step).has_value()) << last;
    EXPECT_EQ(reported, last + 1);
    EXPECT_EQ(evaluations_after, 0);
  }
}

TEST_P(EachSolver, SolvesAnEmptyBatch) {
  EXPECT_EQ(solve(GetParam(), bent, at::zeros({0, 3, 5, 7}), time_grid(3))->sizes(),
            (std::vector<std::int64_t>{0, 3, 5, 7}));
}

TEST_P(EachSolver, RefusesAVelocityOfAnotherShape) {
  const auto one = [](const at::Tensor& z, double) { return z.slice(0, 0, 1); };  // would broadcast
  EXPECT_THROW(solve(GetParam(), one, start(), time_grid(3)), std::invalid_argument);
}

// One step from z = 1 of dz/dt = z t, worked out by hand: t = 1 -> 0.5.
struct OneStepCase {
  Solver solver;
  double z;
};

class OneStep : public testing::TestWithParam<OneStepCase> {};

TEST_P(OneStep, IsTheTextbooks) {
  const auto v = [](const at::Tensor& z, double t) { return z * t; };
  const auto z = solve(GetParam().solver, v, at::ones({1, 1, 1, 1}, at::kDouble), {1.0, 0.5});
  EXPECT_DOUBLE_EQ(z->item<double>(), GetParam().z);
}

INSTANTIATE_TEST_SUITE_P(
    Solvers, OneStep,
    testing::Values(OneStepCase{Solver::euler, 0.5},                                 // 1 - 0.5
                    OneStepCase{Solver::heun, 1.0 - 0.5 * 0.5 * (1.0 + 0.5 * 0.5)},  // d' = 0.5 at t = 0.5
                    OneStepCase{Solver::midpoint, 1.0 - 0.5 * (0.75 * 0.75)}),  // z_mid = 0.75 at t = 0.75
    [](const auto& test) { return std::string(to_string(test.param.solver)); });

TEST(Euler, IsTheOfficialRecurrence) {
  const int steps = 31;
  at::Tensor z = start().to(at::kFloat);
  const at::Tensor got = *solve(Solver::euler, bent, z, time_grid(steps));
  for (int i = steps; i >= 1; --i) z = z - bent(z, double(i) / steps) / steps;
  EXPECT_LT((got - z).abs().max().item<double>(), 1e-6);
}

TEST(Euler, LastStepEndsAtThePredictedCleanImage) {
  const auto clean = [](const at::Tensor& z, double) { return 0.3 * z; };
  StepInfo last{};
  solve(Solver::euler, velocity_denoiser(Prediction::clean_image, clean), start(), time_grid(25),
        [&](const StepInfo& s) { return last = s, true; });
  EXPECT_TRUE(at::allclose(last.z, last.x_hat, 1e-12, 1e-12));
}

TEST(SolverNames, ReadBackAsTheSameSolver) {
  ASSERT_EQ(solver_names().size(), 14u);
  for (const std::string_view name : solver_names()) EXPECT_EQ(to_string(solver_from_name(name)), name);
  EXPECT_EQ(to_string(Solver::euler), "euler");
  EXPECT_EQ(to_string(Solver::heun), "heun");
  EXPECT_EQ(to_string(Solver::midpoint), "midpoint");
}

TEST(SolverNames, UnknownNameIsRefusedWithTheNearest) {
  try {
    solver_from_name("heum");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(
        error.what(),
        "unknown solver \"heum\"; did you mean \"heun\"? known: euler, heun, midpoint, adams_bashforth, "
        "ddpm, ddim, euler_ancestral, euler_stochastic, dpmpp_2m, dpmpp_3m, dpmpp_2m_sde, unipc, edm_heun, "
        "euler_maruyama");
  }
}

TEST(Solve, RefusesTimesThatDoNotFall) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const std::vector<double>& times : std::vector<std::vector<double>>{
           {}, {1.0}, {1.0, 1.0}, {0.0, 1.0}, {1.1, 0.0}, {1.0, -0.1}, {1.0, nan, 0.0}, {nan, 0.0}}) {
    EXPECT_THROW(solve(Solver::euler, bent, start(), times), std::invalid_argument)
        << testing::PrintToString(times);
  }
}

TEST(Solve, RefusesAHalfPrecisionState) {
  EXPECT_THROW(solve(Solver::euler, bent, start().to(at::kBFloat16), time_grid(2)), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::sampler

// The SDE has the flow's images, whatever its diffusion: of normal images, for which the answer is known, mean and deviation
// come out.
#include "sampler/euler_maruyama.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "sampler/grid.h"
#include "sampler/noise.h"
#include "sampler/solvers.h"

namespace switchyard::sampler {
namespace {

constexpr double kMean = 0.3, kDeviation = 0.5;

// Pixels that are normal, each for itself.
Problem normal_images(const std::string& schedule, const GridSettings& grid) {
  Problem p{.schedule = Schedule(schedule), .prediction = Prediction::clean_image};
  p.denoiser = [s = p.schedule](const at::Tensor& x, double t) {
    const auto at = s.level(t);
    const double variance = kDeviation * kDeviation;
    const double slope = at.alpha * variance / (at.alpha * at.alpha * variance + at.sigma * at.sigma);
    return kMean + slope * (x - at.alpha * kMean);
  };
  p.steps = steps_of(p.schedule, Solver::euler_maruyama, grid);
  return p;
}

class EveryDiffusion : public testing::TestWithParam<std::tuple<std::string, std::string, std::string>> {};
INSTANTIATE_TEST_SUITE_P(
    Forms, EveryDiffusion,
    testing::Combine(testing::Values("rectified_flow", "gvp"),
                     testing::ValuesIn(std::vector<std::string>(diffusion_form_names().begin(),
                                                                diffusion_form_names().end())),
                     testing::ValuesIn(std::vector<std::string>(last_step_names().begin(),
                                                                last_step_names().end()))),
    [](const auto& instance) {
      return std::get<0>(instance.param) + "_" + std::get<1>(instance.param) + "_" +
             std::get<2>(instance.param);
    });

TEST_P(EveryDiffusion, LeavesTheImagesTheirDistribution) {
  const auto& [schedule, form, last] = GetParam();
  const Diffusion diffusion{.form = diffusion_form_from_name(form), .last = last_step_from_name(last)};
  const int steps = diffusion.form == DiffusionForm::sbdm ? 2000 : 400;
  auto p = normal_images(schedule, {.steps = steps, .last_step = 0.01});
  const std::vector<std::uint64_t> seeds{7};
  ImageNoise noise(seeds, {1, 96, 96});
  const auto x = noise();
  p.draw = noise;
  const auto images = solve({.solver = Solver::euler_maruyama, .diffusion = diffusion}, p, x);
  ASSERT_TRUE(images.has_value());
  EXPECT_NEAR(images->mean().item<double>(), kMean, 0.02);
  EXPECT_NEAR(images->std().item<double>(), kDeviation, 0.02);
}

TEST(LastStepOf, TakesWhatIsLeftAndTheOthersShareTheRest) {
  const Schedule flow("rectified_flow");
  const auto apart = steps_of(flow, Solver::euler_maruyama, {.steps = 4, .last_step = 0.1});
  ASSERT_EQ(apart.size(), 4U);
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(apart[i].from.t - apart[i].to.t, 0.3, 1e-12);
  EXPECT_NEAR(apart[3].from.t, 0.1, 1e-12);
  const auto alike = steps_of(flow, Solver::euler_maruyama, {.steps = 4, .last_step = 0});
  EXPECT_DOUBLE_EQ(alike[3].from.t, 0.25);
  EXPECT_EQ(steps_of(flow, Solver::euler_maruyama, {.steps = 1}).size(), 1U);
  EXPECT_THROW(steps_of(flow, Solver::euler_maruyama, {.steps = 4, .last_step = 1}), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::sampler

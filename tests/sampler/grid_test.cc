#include "sampler/grid.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "sampler/quality.h"
#include "sampler/spacing.h"

namespace switchyard::sampler {
namespace {

std::vector<double> times_of(const std::vector<Step>& steps) {
  std::vector<double> times;
  for (const auto& step : steps) times.push_back(step.from.t);
  times.push_back(steps.back().to.t);
  return times;
}

struct SpacingCase {
  const char* name;
  Solver solver;
  int steps;
  const char* spacing;
  std::vector<double> times;  // -1: the clean image
};

class DiscreteGrid : public testing::TestWithParam<SpacingCase> {};

TEST_P(DiscreteGrid, VisitsTheTimestepsOfTheField) {
  const auto steps = steps_of(Schedule("linear"), GetParam().solver,
                              {.steps = GetParam().steps, .spacing = GetParam().spacing});
  EXPECT_EQ(times_of(steps), GetParam().times);
  EXPECT_EQ(steps.back().to.alpha, 1);
  EXPECT_EQ(steps.back().to.sigma, 0);
}

INSTANTIATE_TEST_SUITE_P(
    Spacings, DiscreteGrid,
    testing::Values(SpacingCase{"even", Solver::ddpm, 4, "", {999, 666, 333, 0, -1}},
                    SpacingCase{"ddim", Solver::ddim, 4, "ddim", {750, 500, 250, 0, -1}},
                    SpacingCase{"counts", Solver::ddim, 1, "2,1", {500, 499, 0, -1}},
                    SpacingCase{"count", Solver::euler, 1, "2", {999, 0, -1}},
                    SpacingCase{"ddim_count", Solver::ddpm, 1, "ddim2", {500, 0, -1}},
                    SpacingCase{"leading", Solver::euler, 3, "leading", {666, 333, 0, -1}},
                    SpacingCase{"trailing", Solver::ddim, 3, "trailing", {999, 666, 332, -1}},
                    SpacingCase{"fractional", Solver::heun, 3, "", {999, 499.5, 0, -1}},
                    SpacingCase{"multistep", Solver::dpmpp_2m, 2, "", {999, 500, -1}},
                    SpacingCase{"multistep_leading", Solver::unipc, 3, "leading", {750, 500, 250, -1}}),
    [](const auto& test) { return test.param.name; });

// Whatever divides 1000 or does not: as many steps as asked for, no level twice, the image at the end.
TEST(Grid, EverySpacingFallsStrictlyInSoManySteps) {
  for (const auto schedule : {"linear", "cosine"}) {
    for (const auto spacing : {"even", "leading", "trailing", "linspace", "karras"}) {
      for (const auto solver : {Solver::ddim, Solver::euler, Solver::heun, Solver::dpmpp_2m}) {
        for (const int count : {1, 2, 3, 6, 7, 9, 20, 27, 53, 100}) {
          SCOPED_TRACE(std::string(schedule) + ", " + spacing + ", " + std::string(to_string(solver)) + ", " +
                       std::to_string(count) + " steps");
          const auto steps = steps_of(Schedule(schedule), solver, {.steps = count, .spacing = spacing});
          EXPECT_EQ(steps.size(), static_cast<size_t>(count));
          for (size_t i = 0; i < steps.size(); ++i) {
            EXPECT_LT(ratio(steps[i].to), ratio(steps[i].from));
            if (i > 0) {
              EXPECT_EQ(steps[i].from.t, steps[i - 1].to.t);
            }
          }
          EXPECT_EQ(steps.back().to.sigma, 0);
        }
      }
    }
  }
}

TEST(Grid, KarrasEndsAreThoseOfTheTable) {
  const Schedule schedule("linear");
  const auto steps = steps_of(schedule, Solver::dpmpp_2m, {.steps = 9, .spacing = "karras"});
  EXPECT_NEAR(ratio(steps.front().from), ratio(schedule.level(999)), 1e-10);
  EXPECT_NEAR(ratio(steps.back().from), ratio(schedule.level(0)), 1e-12);
  for (const auto& step : steps) EXPECT_EQ(step.from.t, std::round(step.from.t));
}

TEST(Grid, MultistepSolversCutOffTheNoiseEndOfTheCosineSchedule) {
  const Schedule schedule("cosine");
  const auto steps = steps_of(schedule, Solver::dpmpp_2m, {.steps = 10});
  EXPECT_LT(steps.front().from.t, 999);
  EXPECT_GE(lambda(steps.front().from), -5.1);
  EXPECT_EQ(steps_of(schedule, Solver::ddpm, {.steps = 10}).front().from.t, 999);
}

TEST(Grid, OfEdmIsKarrasThenClean) {
  const auto steps =
      steps_of(Schedule("edm"), Solver::heun, {.steps = 3, .sigma_min = 0.1, .sigma_max = 10, .rho = 1});
  const auto times = times_of(steps);
  ASSERT_EQ(times.size(), 4u);
  EXPECT_DOUBLE_EQ(times[0], 10);
  EXPECT_DOUBLE_EQ(times[1], 5.05);
  EXPECT_NEAR(times[2], 0.1, 1e-14);
  EXPECT_EQ(times[3], 0);
  EXPECT_EQ(steps_of(Schedule("edm"), Solver::heun, {.steps = 1}).size(), 1u);
}

TEST(Grid, InitialStateHasTheScheduleSNoise) {
  const auto noise = at::ones({1, 2});
  for (const auto& [name, scale] : {std::pair{"linear", 1.0}, {"rectified_flow", 1.0}, {"edm", 80.0}}) {
    const Schedule schedule(name);
    const auto x = initial_state(schedule, steps_of(schedule, Solver::euler, {.steps = 3}), noise);
    EXPECT_TRUE(at::allclose(x, scale * noise)) << name;
  }
}

struct BadGrid {
  const char* schedule;
  Solver solver;
  int steps;
  const char* spacing;
  double shift, sigma_min;
  const char* complaint;
};

TEST(Grid, BadSettingsAreNamed) {
  const BadGrid bad[] = {
      {"linear", Solver::euler, 0, "", 1, 1, "steps is 0, expected at least 1"},
      {"linear", Solver::euler, 1001, "", 1, 1, "steps is 1001, expected 1..1000"},
      {"linear", Solver::euler, 9, "trialing", 1, 1,
       "unknown spacing \"trialing\"; did you mean \"trailing\"?"},
      {"linear", Solver::ddpm, 9, "10,,2", 1, 1, "spacing \"10,,2\": \"\" is not a count"},
      {"linear", Solver::ddpm, 9, "99999999999", 1, 1, "spacing \"99999999999\": \"99999999999\" is not"},
      {"linear", Solver::ddpm, 9, "501,501", 1, 1, "spacing \"501,501\": section 1 has 500 timesteps"},
      {"linear", Solver::ddim, 9, "ddim999", 1, 1, "spacing \"ddim999\": no whole stride gives 999"},
      {"linear", Solver::ddim, 9, "", 2, 1, "shift is 2: only a rectified flow and gvp have one"},
      {"rectified_flow", Solver::euler, 9, "karras", 1, 1, "spacing is \"karras\": schedule"},
      {"rectified_flow", Solver::euler, 9, "", 0, 1, "shift is 0"},
      {"edm", Solver::euler, 9, "", 1, 0, "noise levels from 80 to 0"}};
  for (const auto& [schedule, solver, steps, spacing, shift, sigma_min, complaint] : bad) {
    GridSettings settings;
    settings.steps = steps;
    settings.spacing = spacing;
    settings.shift = shift;
    settings.sigma_min = sigma_min;
    try {
      steps_of(Schedule(schedule), solver, settings);
      ADD_FAILURE() << "accepted: " << complaint;
    } catch (const std::invalid_argument& error) {
      EXPECT_EQ(std::string(error.what()).rfind(complaint, 0), 0u) << error.what();
    }
  }
}

TEST(Schedule, UnknownNameIsRefusedWithTheNearest) {
  try {
    Schedule("cosin");
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(),
                 "unknown schedule \"cosin\"; did you mean \"cosine\"? known: rectified_flow, gvp, linear, "
                 "scaled_linear, cosine, edm");
  }
}

TEST(Schedule, LevelsAndRatiosAreInverse) {
  for (const auto name : schedule_names()) {
    const Schedule schedule(name);
    for (const double t : {0.25, 0.7, 1.0}) {
      const double at = schedule.is_discrete() ? std::round(t * 999) : 0.9 * t;
      const Level level = schedule.at_ratio(ratio(schedule.level(at)));
      EXPECT_NEAR(level.t, at, 1e-8) << name;
      EXPECT_NEAR(level.alpha, schedule.level(at).alpha, 1e-12) << name;
    }
  }
}

TEST(Schedule, TimesOutsideAreRefused) {
  EXPECT_THROW(Schedule("linear").level(999.5), std::invalid_argument);
  EXPECT_THROW(Schedule("rectified_flow").level(1.1), std::invalid_argument);
  EXPECT_THROW(Schedule("edm").level(-1), std::invalid_argument);
  EXPECT_THROW(Schedule("edm").at_ratio(0), std::invalid_argument);
  EXPECT_THROW(Schedule::of_betas("x", {0.1, 1.0}), std::invalid_argument);
  EXPECT_THROW(Schedule::of_betas("x", {0.1}), std::invalid_argument);
}

TEST(Quality, ChoosesWhatFits) {
  for (const auto name : schedule_names()) {
    const Schedule schedule(name);
    double last = 0;
    for (const auto quality : {Quality::fast, Quality::balanced, Quality::best}) {
      const auto choice = choose(quality, schedule, Prediction::clean_image);
      const auto steps = steps_of(schedule, choice.solver.solver, choice.grid);
      validate(choice.guidance);
      const double work = static_cast<double>(steps.size()) * facts(choice.solver.solver).evaluations *
                          (1 + choice.guidance.t_high - choice.guidance.t_low);
      EXPECT_GT(work, last) << name << ", " << static_cast<int>(quality);
      last = work;
    }
  }
  EXPECT_THROW(quality_from_name("fastt"), std::invalid_argument);
  EXPECT_THROW(choose(Quality::fast, Schedule("linear"), Prediction::velocity), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::sampler

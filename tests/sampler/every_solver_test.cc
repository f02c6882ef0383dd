// What holds for every solver on every schedule that it is for.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "sampler/grid.h"
#include "sampler/guidance.h"
#include "sampler/noise.h"
#include "sampler/solvers.h"

namespace switchyard::sampler {
namespace {

struct Pair {
  std::string solver, schedule;
};

void PrintTo(const Pair& pair, std::ostream* out) { *out << pair.solver << " on " << pair.schedule; }

std::vector<Pair> fitting_pairs(bool fitting) {
  std::vector<Pair> pairs;
  for (const auto solver : solver_names()) {
    for (const auto schedule : schedule_names()) {
      bool fits = true;
      try {
        require_fit(solver_from_name(solver), Schedule(schedule));
      } catch (const std::invalid_argument&) {
        fits = false;
      }
      if (fits == fitting) pairs.push_back({std::string(solver), std::string(schedule)});
    }
  }
  return pairs;
}

std::string name_of(const testing::TestParamInfo<Pair>& info) {
  return info.param.solver + "_on_" + info.param.schedule;
}

// Element-wise, bounded and not linear; sums, products and quotients only, whose vector and tail loops agree
// to the bit.
at::Tensor bent(const at::Tensor& x, double t) { return (x + 0.1 / (1 + t)) / (1 + x * x); }

class EverySolver : public testing::TestWithParam<Pair> {
 protected:
  Problem problem(int steps) const {
    Problem p{
        .schedule = Schedule(GetParam().schedule), .prediction = Prediction::clean_image, .denoiser = bent};
    p.steps = steps_of(p.schedule, settings().solver, {.steps = steps});
    return p;
  }
  SolverSettings settings() const {
    return {.solver = solver_from_name(GetParam().solver), .eta = 0.7, .churn = {.amount = 5}};
  }
  std::optional<at::Tensor> run(Problem p, std::span<const std::uint64_t> seeds, at::IntArrayRef chw) const {
    ImageNoise noise(seeds, chw);
    const auto x = initial_state(p.schedule, p.steps, noise());
    p.draw = noise;
    return solve(settings(), p, x);
  }
  const std::vector<std::uint64_t> seeds_{100, 101, 102, 103, 104, 105, 106, 107};
};

INSTANTIATE_TEST_SUITE_P(Pairs, EverySolver, testing::ValuesIn(fitting_pairs(true)), name_of);

TEST_P(EverySolver, EvaluationTimesAreKnownBeforehand) {
  for (const int steps : {1, 7}) {
    Problem p = problem(steps);
    const auto expected = evaluation_times(settings(), p);
    std::vector<double> asked;
    p.denoiser = [&](const at::Tensor& x, double t) {
      asked.push_back(t);
      return bent(x, t);
    };
    run(p, std::span(seeds_).first(2), {3, 4, 5});
    EXPECT_EQ(asked, expected) << steps << " steps";
    EXPECT_GE(asked.size(), static_cast<size_t>(steps));
  }
}

TEST_P(EverySolver, ImageDoesNotDependOnItsBatch) {
  const std::vector<std::int64_t> chw = {3, 41, 43};  // eight are enough for libtorch to use several threads
  const auto images = [&](std::size_t first, std::size_t count) {
    Problem p = problem(4);
    p.denoiser = guide(
        bent, [](const at::Tensor& x, double t) { return std::pair(bent(x, t), 0.9 * bent(x, t)); },
        {.scale = 1.7, .t_low = 0.1, .t_high = 0.9, .kind = GuidanceKind::adaptive_projected}, p.schedule,
        p.prediction);
    return *run(p, std::span(seeds_).subspan(first, count), chw);
  };
  const at::Tensor of_eight = images(0, 8);
  EXPECT_TRUE(of_eight.isfinite().all().item<bool>());
  EXPECT_TRUE(at::equal(images(0, 1), of_eight.slice(0, 0, 1)));
  EXPECT_TRUE(at::equal(images(5, 3), of_eight.slice(0, 5, 8)));
}

TEST_P(EverySolver, ReportsEveryStepAndIsNotChangedByIt) {
  Problem p = problem(5);
  const auto unwatched = *run(p, seeds_, {2, 3});
  std::vector<StepInfo> seen;
  p.on_step = [&](const StepInfo& info) { return seen.push_back(info), true; };
  const auto watched = *run(p, seeds_, {2, 3});
  EXPECT_TRUE(at::equal(watched, unwatched));
  ASSERT_EQ(seen.size(), p.steps.size());
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].index, static_cast<int>(i));
    EXPECT_EQ(seen[i].steps, static_cast<int>(p.steps.size()));
    EXPECT_EQ(seen[i].t, p.steps[i].from.t);
    EXPECT_EQ(seen[i].t_next, p.steps[i].to.t);
    EXPECT_EQ(seen[i].x_hat.sizes(), watched.sizes());
  }
  EXPECT_TRUE(at::equal(seen.back().z, watched));
}

TEST_P(EverySolver, CancelsWithinOneStep) {
  for (const int last : {0, 2, 4}) {
    Problem p = problem(5);
    int reported = 0, evaluations_after = 0;
    bool cancelled = false;
    p.denoiser = [&](const at::Tensor& x, double t) { return evaluations_after += cancelled, bent(x, t); };
    p.on_step = [&](const StepInfo& info) { return ++reported, !(cancelled = info.index == last); };
    EXPECT_FALSE(run(p, seeds_, {2, 3}).has_value());
    EXPECT_EQ(reported, last + 1);
    EXPECT_EQ(evaluations_after, 0);
  }
}

TEST_P(EverySolver, EvaluatesAsOftenAsItSays) {
  Problem p = problem(6);
  int calls = 0;
  double least = 1e30;
  p.denoiser = [&](const at::Tensor& x, double t) { return ++calls, least = std::min(least, t), bent(x, t); };
  run(p, seeds_, {2, 3});
  const int per_step = facts(settings().solver).evaluations;
  EXPECT_LE(calls, 6 * per_step);
  EXPECT_GE(calls, 6 * per_step - 1);  // a last step to sigma = 0 may do with one
  EXPECT_GE(least, 0);
  EXPECT_NE(least, p.schedule.clean().t);
}

TEST_P(EverySolver, SolvesOneStepAndAnEmptyBatchAndLeavesItsStartAlone) {
  Problem p = problem(1);
  p.draw = [] { return at::ones({2, 2, 3}); };
  const auto start = at::full({2, 2, 3}, 0.5);
  const auto x = solve(settings(), p, start);
  EXPECT_TRUE(x->isfinite().all().item<bool>());
  EXPECT_TRUE(at::equal(start, at::full({2, 2, 3}, 0.5)));
  p.draw = [] { return at::ones({0, 2, 3}); };
  EXPECT_EQ(solve(settings(), p, at::zeros({0, 2, 3}))->sizes(), (at::IntArrayRef{0, 2, 3}));
}

TEST_P(EverySolver, RefusesAnOutputOfAnotherShape) {
  Problem p = problem(3);
  p.denoiser = [](const at::Tensor& x, double) { return x.slice(0, 0, 1); };  // would broadcast
  EXPECT_THROW(run(p, seeds_, {2, 3}), std::invalid_argument);
}

class UnfitSolver : public testing::TestWithParam<Pair> {};

INSTANTIATE_TEST_SUITE_P(Pairs, UnfitSolver, testing::ValuesIn(fitting_pairs(false)), name_of);

TEST_P(UnfitSolver, IsRefusedWithThoseThatFit) {
  const Schedule schedule(GetParam().schedule);
  const auto solver = solver_from_name(GetParam().solver);
  try {
    steps_of(schedule, solver, {});
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.rfind("solver \"" + GetParam().solver + "\" is not for models of schedule \"" +
                             GetParam().schedule + "\"; these are: euler, heun, ",
                         0),
              0u)
        << text;
  }
}

TEST(UnfitPrediction, IsRefusedWithThoseThatFit) {
  try {
    require_fit(Prediction::velocity, Schedule("cosine"));
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(
        error.what(),
        "prediction \"velocity\" does not go with schedule \"cosine\"; these do: clean_image, noise, "
        "noise_and_variance, v");
  }
}

TEST(Problem, WithoutNoiseIsRefusedByAStochasticSolver) {
  Problem p{.schedule = Schedule("linear"), .prediction = Prediction::clean_image, .denoiser = bent};
  p.steps = steps_of(p.schedule, Solver::ddpm, {.steps = 3});
  EXPECT_THROW(solve({.solver = Solver::ddpm}, p, at::zeros({1, 2})), std::invalid_argument);
  p.draw = [] { return at::zeros({2, 2}); };
  EXPECT_THROW(solve({.solver = Solver::ddpm}, p, at::zeros({1, 2})), std::invalid_argument)
      << "another shape";
}

}  // namespace
}  // namespace switchyard::sampler

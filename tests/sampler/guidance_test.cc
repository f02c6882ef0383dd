#include "sampler/guidance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <stdexcept>

#include "sampler/solvers.h"
#include "sampler/time_grid.h"

namespace switchyard::sampler {
namespace {

// A conditional model 3 z and an unconditional model z + t, which count how often they run.
struct Counted {
  int alone = 0;
  int paired = 0;

  Denoiser guided(const Guidance& guidance) {
    const auto v_c = [](const at::Tensor& z) { return 3.0 * z; };
    return guide([=, this](const at::Tensor& z, double) { return ++alone, v_c(z); },
                 [=, this](const at::Tensor& z, double t) { return ++paired, std::pair(v_c(z), z + t); },
                 guidance);
  }
};

struct CallCase {
  const char* name;
  Guidance guidance;
  int alone, paired;  // of the five steps at t = 1, 0.8, 0.6, 0.4, 0.2
};

class GuidanceCalls : public testing::TestWithParam<CallCase> {};

TEST_P(GuidanceCalls, UnconditionalModelRunsOnlyInsideTheInterval) {
  Counted models;
  solve(Solver::euler, models.guided(GetParam().guidance), at::ones({1, 1, 3, 3}), time_grid(5));
  EXPECT_EQ(models.alone, GetParam().alone);
  EXPECT_EQ(models.paired, GetParam().paired);
}

INSTANTIATE_TEST_SUITE_P(Settings, GuidanceCalls,
                         testing::Values(CallCase{"everywhere", {2.0, 0.0, 1.0}, 0, 5},
                                         CallCase{"scale_one", {1.0, 0.0, 1.0}, 5, 0},
                                         CallCase{"scale_zero", {0.0, 0.0, 1.0}, 0, 5},
                                         CallCase{"both_ends_belong", {2.0, 0.4, 0.8}, 2, 3},
                                         CallCase{"between_the_ends", {2.0, 0.41, 0.79}, 4, 1},
                                         CallCase{"one_time", {2.0, 0.6, 0.6}, 4, 1},
                                         CallCase{"below_the_last", {2.0, 0.0, 0.1}, 5, 0}),
                         [](const auto& test) { return test.param.name; });

TEST(Guidance, MixesTheTwoPredictions) {
  const at::Tensor z = at::arange(-31, 31, at::kFloat).reshape({2, 1, 1, 31});
  for (const double scale : {-0.5, 0.0, 1.5, 4.0}) {
    const at::Tensor v_c = 3.0 * z, v_u = z + 0.25;
    EXPECT_TRUE(
        at::allclose(Counted().guided({scale})(z, 0.25), v_u * (1.0 - scale) + v_c * scale, 1e-6, 1e-5))
        << scale;
  }
}

TEST(Guidance, MixesHalfPrecisionPredictionsInFloat32) {
  const auto both = [](const at::Tensor& z, double) {
    return std::pair(at::full_like(z, 1.0078125, at::kBFloat16), at::ones_like(z, at::kBFloat16));
  };
  const at::Tensor v = guide(nullptr, both, {1.5})(at::zeros({1, 1, 1, 1}), 0.5);
  EXPECT_EQ(v.item<float>(), 1.01171875f);  // needs one bit more than bfloat16 has
}

TEST(Guidance, OutsideTheIntervalIsTheConditionalPrediction) {
  const at::Tensor z = at::arange(7, at::kFloat).reshape({1, 1, 1, 7});
  EXPECT_TRUE(at::equal(Counted().guided({9.0, 0.3, 0.6})(z, 0.7), 3.0 * z));
}

TEST(Guidance, BadSettingsAreRefused) {
  using limits = std::numeric_limits<double>;
  const double nan = limits::quiet_NaN();
  for (const Guidance& bad : {Guidance{nan}, Guidance{limits::infinity()}, Guidance{2.0, 0.6, 0.5},
                              Guidance{2.0, -0.1, 0.5}, Guidance{2.0, 0.5, 1.1}, Guidance{2.0, nan, 1.0}}) {
    EXPECT_THROW(validate(bad), std::invalid_argument) << bad.scale << " " << bad.t_low << " " << bad.t_high;
  }
}

TEST(Guidance, GuideValidates) { EXPECT_THROW(Counted().guided({2.0, 0.6, 0.5}), std::invalid_argument); }

TEST(Guidance, ErrorNamesValueAndRange) {
  try {
    validate(Guidance{2.0, 0.6, 0.5});
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "guidance interval is 0.6..0.5, expected 0 <= low <= high <= 1");
  }
}

// Models whose answers are given: c and u of [N,C,H,W], on a schedule.
at::Tensor guided(const at::Tensor& c, const at::Tensor& u, const Guidance& guidance,
                  const char* schedule = "linear", Prediction prediction = Prediction::noise,
                  double t = 500) {
  const auto both =
      pair_of([&](const at::Tensor&, double) { return c; }, [&](const at::Tensor&, double) { return u; });
  const auto x = at::full_like(c.narrow(1, 0, 4), 0.3);
  return guide(nullptr, both, guidance, Schedule(schedule), prediction)(x, t);
}

at::Tensor values(double first, std::int64_t channels = 4) {
  return at::sin(at::arange(2 * channels * 3 * 5, at::kDouble).reshape({2, channels, 3, 5}) + first);
}

TEST(GuidanceKinds, FirstChannelsOnlyAsTheOfficialCode) {
  const auto c = values(0, 8), u = values(1, 8);  // noise of four channels and a variance
  const auto p = guided(c, u, {.scale = 3, .channels = 3}, "linear", Prediction::noise_and_variance);
  EXPECT_TRUE(at::allclose(p.narrow(1, 0, 3), (u + 3 * (c - u)).narrow(1, 0, 3)));
  EXPECT_TRUE(at::equal(p.narrow(1, 3, 5), c.narrow(1, 3, 5)));
}

TEST(GuidanceKinds, LearnedVarianceIsTheConditionalOne) {
  const auto c = values(0, 8), u = values(1, 8);
  const auto p = guided(c, u, {.scale = 3}, "linear", Prediction::noise_and_variance);
  EXPECT_TRUE(at::allclose(p.narrow(1, 0, 4), (u + 3 * (c - u)).narrow(1, 0, 4)));
  EXPECT_TRUE(at::equal(p.narrow(1, 4, 4), c.narrow(1, 4, 4)));
}

TEST(GuidanceKinds, RescaledHasTheDeviationOfTheConditional) {
  const auto c = values(0), u = values(1);
  const auto p = guided(c, u, {.scale = 4, .kind = GuidanceKind::rescaled, .rescale = 1});
  EXPECT_TRUE(at::allclose(p.flatten(1).std(1), c.flatten(1).std(1)));
  const auto plain = guided(c, u, {.scale = 4});
  EXPECT_TRUE(at::allclose(guided(c, u, {.scale = 4, .kind = GuidanceKind::rescaled, .rescale = 0.3}),
                           0.3 * p + 0.7 * plain));
}

TEST(GuidanceKinds, CfgZeroStarFitsTheUnconditionalFirst) {
  const auto c = values(0), u = values(1);
  const Guidance zero_star{.scale = 4, .kind = GuidanceKind::cfg_zero_star};
  const auto s = (c * u).flatten(1).sum(1) / u.square().flatten(1).sum(1);
  const auto su = s.view({2, 1, 1, 1}) * u;
  EXPECT_TRUE(at::allclose(guided(c, u, zero_star), su + 4 * (c - su), 1e-6, 1e-8));
  EXPECT_TRUE(at::allclose(guided(c, 7 * c, zero_star), c, 1e-6, 1e-6)) << "only the direction of u counts";
}

TEST(GuidanceKinds, CfgZeroStarStandsStillAtTheNoiseEndOfAFlow) {
  const auto c = values(0), u = values(1);
  Guidance g{.scale = 4, .kind = GuidanceKind::cfg_zero_star};
  const auto at_t = [&](double t) { return guided(c, u, g, "rectified_flow", Prediction::velocity, t); };
  EXPECT_TRUE(at::equal(at_t(1), at::zeros_like(c)));
  EXPECT_FALSE(at::equal(at_t(0.99), at::zeros_like(c)));
  g.zero_from = 0.98;
  EXPECT_TRUE(at::equal(at_t(0.99), at::zeros_like(c)));
}

TEST(GuidanceKinds, ProjectedMovesAcrossTheConditionalImageOnly) {
  const auto c = values(0), u = values(1);
  const Guidance g{.scale = 4, .kind = GuidanceKind::adaptive_projected, .longest = 0, .momentum = 0};
  const auto d = guided(c, u, g, "linear", Prediction::clean_image) - c;
  const auto along = (d * c).flatten(1).sum(1);
  EXPECT_LT(along.abs().max().item<double>(), 1e-10);
  EXPECT_GT(d.abs().max().item<double>(), 0.1);
}

TEST(GuidanceKinds, ProjectedWithBothPartsIsClassifierFree) {
  const auto c = values(0), u = values(1);
  const Guidance g{
      .scale = 4, .kind = GuidanceKind::adaptive_projected, .parallel = 1, .longest = 0, .momentum = 0};
  for (const auto prediction : {Prediction::noise, Prediction::clean_image, Prediction::v}) {
    EXPECT_TRUE(at::allclose(guided(c, u, g, "linear", prediction), u + 4 * (c - u), 1e-8, 1e-8))
        << to_string(prediction);
  }
}

TEST(GuidanceKinds, ProjectedDifferenceIsNoLongerThanItsBound) {
  const auto c = values(0), u = values(1);
  const Guidance g{
      .scale = 2, .kind = GuidanceKind::adaptive_projected, .parallel = 1, .longest = 0.5, .momentum = 0};
  const auto d = guided(c, u, g, "linear", Prediction::clean_image) - c;
  EXPECT_TRUE(at::allclose(d.flatten(1).norm(2, 1), at::full({2}, 0.5, at::kDouble)));
}

TEST(GuidanceKinds, MomentumIsOfOneRun) {
  const auto c = values(0), u = values(1);
  const Guidance g{
      .scale = 2, .kind = GuidanceKind::adaptive_projected, .parallel = 1, .longest = 0, .momentum = -0.5};
  const auto both =
      pair_of([&](const at::Tensor&, double) { return c; }, [&](const at::Tensor&, double) { return u; });
  for (int run = 0; run < 2; ++run) {
    const auto denoiser = guide(nullptr, both, g, Schedule("linear"), Prediction::clean_image);
    EXPECT_TRUE(at::allclose(denoiser(c, 500), c + (c - u)));
    EXPECT_TRUE(at::allclose(denoiser(c, 400), c + 0.5 * (c - u)));
  }
}

TEST(GuidanceKinds, IntervalIsOfTheNoiseWhateverTheSchedule) {
  int alone = 0, paired = 0;
  const auto conditional = [&](const at::Tensor& x, double) { return ++alone, 0.5 * x; };
  const auto both = [&](const at::Tensor& x, double) { return ++paired, std::pair(0.5 * x, 0.4 * x); };
  for (const auto& [schedule, times] :
       {std::pair<const char*, std::vector<double>>{"linear", {999, 600, 400, 0}},
        {"edm", {80, 1.5, 0.7, 0.002}},
        {"rectified_flow", {1, 0.6, 0.4, 0.001}}}) {
    alone = paired = 0;
    const auto denoiser = guide(conditional, both, {.scale = 2, .t_low = 0.3, .t_high = 0.7},
                                Schedule(schedule), Prediction::clean_image);
    for (const double t : times) denoiser(at::ones({1, 1}), t);
    EXPECT_EQ(alone, 2) << schedule;  // one forward saved in each
    EXPECT_EQ(paired, 2) << schedule;
  }
}

TEST(GuidanceKinds, ImageDoesNotDependOnItsBatch) {
  const auto c = at::sin(at::arange(8 * 3 * 65 * 67, at::kFloat)).reshape({8, 3, 65, 67}),
             u = 0.8 * c * c + 0.1;
  for (const auto name : guidance_kind_names()) {
    const auto of = [&](std::int64_t first, std::int64_t last) {
      const auto both = [&](const at::Tensor&, double) {
        return std::pair(c.slice(0, first, last), u.slice(0, first, last));
      };
      return guide(nullptr, both, {.scale = 3, .kind = guidance_kind_from_name(name)}, Schedule("linear"),
                   Prediction::noise)(0.5 * c.slice(0, first, last), 300);
    };
    const auto of_eight = of(0, 8);
    EXPECT_TRUE(at::equal(of(0, 1), of_eight.slice(0, 0, 1))) << name;
    EXPECT_TRUE(at::equal(of(4, 7), of_eight.slice(0, 4, 7))) << name;
  }
}

}  // namespace
}  // namespace switchyard::sampler

#include "sampler/guidance.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace switchyard::sampler

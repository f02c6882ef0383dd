#include "sampler/flow.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace switchyard::sampler {
namespace {

// x, noise -> z_t and both predictions of a model that knows x.
struct Exact {
  at::Tensor z, velocity, clean;
};

Exact exact(double t) {
  const at::Tensor x = at::arange(2 * 3 * 5 * 7, at::kDouble).reshape({2, 3, 5, 7}).mul(0.01).sub(1.0);
  const at::Tensor noise = at::sin(17.0 * x);
  return {((1.0 - t) * x + t * noise).to(at::kFloat), (noise - x).to(at::kFloat), x.to(at::kFloat)};
}

class FlowAt : public testing::TestWithParam<double> {};

TEST_P(FlowAt, VelocityFromCleanImage) {
  const double t = GetParam();
  const Exact e = exact(t);
  const double rounding = 4e-7 / t;  // of z and x_hat, divided by t
  EXPECT_TRUE(
      at::allclose(velocity_from(Prediction::clean_image, e.clean, e.z, t), e.velocity, 1e-6, rounding));
}

TEST_P(FlowAt, CleanImageFromVelocity) {
  const double t = GetParam();
  const Exact e = exact(t);
  EXPECT_TRUE(at::allclose(clean_from(Prediction::velocity, e.velocity, e.z, t), e.clean, 1e-6, 4e-7));
}

TEST_P(FlowAt, SamePredictionIsUntouched) {
  const double t = GetParam();
  const Exact e = exact(t);
  EXPECT_TRUE(at::equal(velocity_from(Prediction::velocity, e.velocity, e.z, t), e.velocity));
  EXPECT_TRUE(at::equal(clean_from(Prediction::clean_image, e.clean, e.z, t), e.clean));
}

INSTANTIATE_TEST_SUITE_P(Times, FlowAt, testing::Values(1e-3, 0.04, 1.0 / 3, 0.5, 0.999, 1.0));

TEST(Flow, CleanImageIsTheStateAtTimeZero) {
  const Exact e = exact(0.0);
  EXPECT_TRUE(at::equal(clean_from(Prediction::velocity, e.velocity, e.z, 0.0), e.z));
}

TEST(Flow, CleanImagePredictionHasNoVelocityAtTimeZero) {
  const Exact e = exact(0.0);
  EXPECT_THROW(velocity_from(Prediction::clean_image, e.clean, e.z, 0.0), std::invalid_argument);
}

TEST(Flow, TimeOutsideOfTheFlowIsRefused) {
  const Exact e = exact(0.5);
  for (const double t : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THROW(velocity_from(Prediction::velocity, e.velocity, e.z, t), std::invalid_argument) << t;
    EXPECT_THROW(clean_from(Prediction::velocity, e.velocity, e.z, t), std::invalid_argument) << t;
  }
}

TEST(Flow, OutputOfAnotherShapeIsRefused) {
  const Exact e = exact(0.5);
  const at::Tensor broadcastable = e.velocity.slice(0, 0, 1);
  EXPECT_THROW(velocity_from(Prediction::velocity, broadcastable, e.z, 0.5), std::invalid_argument);
}

TEST(Flow, VelocityDenoiserWidensAHalfPrecisionModel) {
  const Exact e = exact(0.25);
  const Denoiser half = [&](const at::Tensor&, double) { return e.clean.to(at::kBFloat16); };
  const at::Tensor v = velocity_denoiser(Prediction::clean_image, half)(e.z, 0.25);
  EXPECT_TRUE(at::equal(v, (e.z - e.clean.to(at::kBFloat16).to(at::kFloat)) / 0.25));
  EXPECT_EQ(v.scalar_type(), at::kFloat);
}

}  // namespace
}  // namespace switchyard::sampler

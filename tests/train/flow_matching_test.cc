#include "train/flow_matching.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

TEST(FlowMatching, VelocityLossIsTheDistanceToNoiseMinusImage) {
  const auto x = at::randn({3, 2, 4, 4}), noise = at::randn({3, 2, 4, 4}), v = at::randn({3, 2, 4, 4});
  const auto loss = flow_loss_per_image(false, v, x, noise, at::full({3}, 0.5), 0.05);
  EXPECT_TRUE(at::allclose(loss, (v - (noise - x)).square().flatten(1).mean(1)));
}

// x_theta -> v_theta = (z - x_theta) / t turns the clean-image loss into the velocity loss wherever t >=
// min_time.
TEST(FlowMatching, CleanImageLossIsTheVelocityLossAboveMinTime) {
  const auto x = at::randn({3, 2, 4, 4}), noise = at::randn({3, 2, 4, 4}), x_theta = at::randn({3, 2, 4, 4});
  const auto t = at::tensor({0.05f, 0.4f, 1.0f}), tt = t.view({3, 1, 1, 1});
  const auto v_theta = ((1 - tt) * x + tt * noise - x_theta) / tt;
  EXPECT_TRUE(at::allclose(flow_loss_per_image(true, x_theta, x, noise, t, 0.05),
                           flow_loss_per_image(false, v_theta, x, noise, t, 0.05), 1e-4, 1e-5));
}

TEST(FlowMatching, CleanImageLossIsBoundedBelowMinTime) {
  const auto x = at::zeros({1, 1, 2, 2}), off_by_one = at::ones({1, 1, 2, 2});
  EXPECT_NEAR(flow_loss_per_image(true, off_by_one, x, x, at::full({1}, 1e-6), 0.05).item<double>(), 400.0,
              1e-2);
}

class ShardLossTest : public ::testing::Test {
 protected:
  ShardLossTest() : model_(dit::preset("tiny")), recipe_(recipe("tiny")) {
    dit::initialize(model_, 1);
    generator_ = at::detail::createCPUGenerator(3);
    for (auto& [name, tensor] : model_.parameters()) *tensor += 0.05 * at::randn(tensor->sizes(), generator_);
    images_ = at::rand({4, 3, 16, 16}, generator_) * 2 - 1;
    labels_ = at::tensor({0, 3, 9, 1}, at::kLong);
  }
  dit::DiffusionTransformer model_;
  Recipe recipe_;
  at::Generator generator_;
  at::Tensor images_, labels_;
};

TEST_F(ShardLossTest, IsAFunctionOfTheSeed) {
  const auto a = shard_loss(model_, images_, labels_, 7, recipe_),
             b = shard_loss(model_, images_, labels_, 7, recipe_);
  const auto c = shard_loss(model_, images_, labels_, 8, recipe_);
  EXPECT_EQ(a.flow.item<double>(), b.flow.item<double>());
  EXPECT_NE(a.flow.item<double>(), c.flow.item<double>());
}

TEST_F(ShardLossTest, TotalIsFlowPlusWeightedBalance) {
  const auto loss = shard_loss(model_, images_, labels_, 7, recipe_);
  const double layers = static_cast<double>(model_.config().depth);
  EXPECT_NEAR(loss.total.item<double>(),
              (loss.flow + recipe_.balance_weight * layers * loss.balance).item<double>(), 1e-5);
}

TEST_F(ShardLossTest, EveryTokenChoosesKExpertsInEveryLayer) {
  const auto& c = model_.config();
  const auto loss = shard_loss(model_, images_, labels_, 7, recipe_);
  ASSERT_EQ(loss.expert_choices.size(), static_cast<size_t>(c.depth));
  for (const auto& choices : loss.expert_choices) {
    EXPECT_EQ(choices.sum().item<int64_t>(), 4 * c.tokens() * c.experts_per_token);
  }
}

TEST_F(ShardLossTest, FullDropoutHidesTheClass) {
  recipe_.class_dropout = 1.0;
  const auto a = shard_loss(model_, images_, labels_, 7, recipe_);
  const auto b = shard_loss(model_, images_, labels_.flip(0), 7, recipe_);
  EXPECT_EQ(a.flow.item<double>(), b.flow.item<double>());
  recipe_.class_dropout = 0.0;
  EXPECT_NE(shard_loss(model_, images_, labels_, 7, recipe_).flow.item<double>(),
            shard_loss(model_, images_, labels_.flip(0), 7, recipe_).flow.item<double>());
}

}  // namespace
}  // namespace switchyard::train

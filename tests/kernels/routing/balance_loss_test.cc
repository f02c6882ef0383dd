// E * sum_e f_e P_e on routings of which the value is known.
#include <torch/csrc/autograd/autograd.h>

#include "../compare.h"
#include "kernels/routing/routing.h"

namespace switchyard::kernels {
namespace {

at::Tensor loss_of(const at::Tensor& probabilities, const at::Tensor& experts) {
  const Routing routing{probabilities, experts, probabilities.gather(1, experts)};
  return balance_loss(routing, expert_choices(routing));
}

TEST(BalanceLoss, IsOneForUniformProbabilities) {
  for (const int64_t num_experts : {1, 3, 8, 71}) {
    const auto probabilities = at::full({33, num_experts}, 1.0 / static_cast<double>(num_experts));
    const auto loss = loss_of(probabilities, at::zeros({33, 1}, at::kLong));
    EXPECT_NEAR(loss.item<double>(), 1.0, 1e-6) << num_experts;
  }
}

TEST(BalanceLoss, IsOneForUniformChoices) {
  const auto probabilities = at::softmax(random({12, 4}, 31) * 3, -1);
  EXPECT_NEAR(loss_of(probabilities, at::arange(24).view({12, 2}).remainder(4)).item<double>(), 1.0, 1e-6);
}

TEST(BalanceLoss, OfTwoSkewedTokens) {
  // f = (3/4, 1/4, 0), P = (0.6, 0.3, 0.1): 3 (0.45 + 0.075) = 1.575
  const auto probabilities = at::tensor({0.7F, 0.2F, 0.1F, 0.5F, 0.4F, 0.1F}).view({2, 3});
  const auto experts = at::tensor({0, 1, 0, 0}, at::kLong).view({2, 2});
  EXPECT_NEAR(loss_of(probabilities, experts).item<double>(), 1.575, 1e-6);
}

TEST(BalanceLoss, IsTheNumberOfExpertsWhenOneTakesAll) {
  const auto probabilities = at::zeros({5, 31}).index_fill_(1, at::tensor({7}, at::kLong), 1.0);
  EXPECT_NEAR(loss_of(probabilities, at::full({5, 1}, 7, at::kLong)).item<double>(), 31.0, 1e-5);
}

TEST(BalanceLoss, GradientIsTheShareOfEachExpert) {
  const auto probabilities = at::full({2, 3}, 1.0 / 3).requires_grad_(true);
  const auto experts = at::tensor({0, 1, 0, 0}, at::kLong).view({2, 2});
  const auto gradient = torch::autograd::grad({loss_of(probabilities, experts)}, {probabilities})[0];
  EXPECT_TRUE(
      near(gradient, at::tensor({1.125, 0.375, 0.0}, at::kDouble).expand({2, 3}), 1e-6));  // 3 f_e / 2 tokens
}

}  // namespace
}  // namespace switchyard::kernels

// Switch-DiT's mask: the folded forms against expert by expert, and its gradient.
#include "kernels/experts/expert_mask.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "../compare.h"

namespace switchyard::kernels {
namespace {

struct Case {
  int64_t images, tokens, width, experts, k;
};

class ExpertMask : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const auto c = GetParam();
    x_ = random({c.images, c.tokens, c.width}, 1);
    logits_ = random({c.images, c.experts}, 2);
    weight_ = random({c.experts, c.width, c.width}, 3) / std::sqrt(static_cast<double>(c.width));
    bias_ = random({c.experts, c.width}, 4);
  }
  Routing routing() const { return route_top_k(logits_, GetParam().k); }

  at::Tensor x_, logits_, weight_, bias_;
};

INSTANTIATE_TEST_SUITE_P(Sizes, ExpertMask,
                         ::testing::Values(Case{1, 1, 1, 1, 1}, Case{2, 31, 33, 3, 2}, Case{3, 16, 32, 8, 8},
                                           Case{5, 33, 31, 40, 7}, Case{1, 64, 48, 71, 1}));

TEST_P(ExpertMask, FoldedIsExpertByExpert) {
  EXPECT_TRUE(near(expert_mask(x_, routing(), weight_, bias_),
                   expert_mask_reference(x_, routing(), weight_, bias_), 2e-6));
}

TEST_P(ExpertMask, OneMatrixPerTimestepIsExpertByExpert) {
  const auto all = expert_mask_reference(x_, routing(), weight_, bias_);
  for (int64_t n = 0; n < GetParam().images; ++n) {
    const auto folded = fold_experts(routing().experts[n], routing().gate_weights[n], weight_, bias_);
    EXPECT_TRUE(near(folded(x_[n]), all[n], 2e-6)) << n;
  }
}

TEST_P(ExpertMask, GradientsAreThoseOfTheReference) {
  for (auto* leaf : {&x_, &logits_, &weight_, &bias_}) leaf->set_requires_grad(true);
  const auto upstream = random(x_.sizes(), 5);
  const auto gradients = [&](auto mask) {
    return torch::autograd::grad({(mask(x_, routing(), weight_, bias_) * upstream).sum()},
                                 {x_, logits_, weight_, bias_});
  };
  const auto ours = gradients(expert_mask), expected = gradients(expert_mask_reference);
  // One expert has the probability 1 whatever its logit: that gradient is zero but for rounding.
  for (size_t i = 0; i < ours.size(); ++i) {
    if (i == 1 && GetParam().experts == 1) continue;
    EXPECT_TRUE(near(ours[i], expected[i], 2e-5)) << "input " << i;
  }
}

TEST(ExpertMaskOfZeroExperts, IsOne) {
  const auto x = random({2, 3, 4}, 1);
  const auto routing = route_top_k(random({2, 3}, 2), 2);
  EXPECT_TRUE(same_bits(expert_mask(x, routing, at::zeros({3, 4, 4}), at::zeros({3, 4})), at::ones_like(x)));
}

class SplitByMaskOnDevice : public OnDevice {};
ON_EVERY_DEVICE(SplitByMaskOnDevice);

TEST_P(SplitByMaskOnDevice, EqualsTheDefinition) {
  for (const auto& [n, t, width] : {std::tuple{1, 1, 1}, {3, 31, 33}, {2, 64, 48}, {2, 0, 8}}) {
    for (const auto& [dtype, limit] : {std::pair{at::kFloat, 1e-6}, {at::kBFloat16, 1e-2}}) {
      for (const bool one_per_image : {false, true}) {
        const auto x = random({n, t, width}, 6, dtype),
                   m = random({n, one_per_image ? 1 : t, width}, 7, dtype);
        const auto [task, shared] = split_by_mask(x.to(device()), m.to(device()));
        EXPECT_EQ(task.scalar_type(), dtype);
        EXPECT_EQ(task.device().type(), device());
        const auto xd = x.to(at::kDouble), md = m.to(at::kDouble);
        EXPECT_TRUE(near(task, xd * md, limit)) << n << " " << t << " " << width;
        EXPECT_TRUE(near(shared, xd - xd * md, limit)) << n << " " << t << " " << width;
      }
    }
  }
}

TEST(SplitByMask, CarriesTheGradient) {
  const auto x = random({2, 3, 4}, 8).requires_grad_(true), m = random({2, 1, 4}, 9).requires_grad_(true);
  const auto a = random({2, 3, 4}, 10), b = random({2, 3, 4}, 11);
  const auto [task, shared] = split_by_mask(x, m);
  const auto gradients = torch::autograd::grad({(task * a + shared * b).sum()}, {x, m});
  EXPECT_TRUE(near(gradients[0], (m * a + (1 - m) * b), 1e-6));
  EXPECT_TRUE(near(gradients[1], (x * (a - b)).sum(1, true), 1e-6));
}

TEST(PackedLinearGelu, IsTheTanhForm) {
  const auto x = random({31, 33}, 1), weight = random({48, 33}, 2) / 5.0, bias = random({48}, 3);
  const auto z = linear_reference(x, weight, bias);
  const auto expected = 0.5 * z * (1 + at::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z.pow(3))));
  EXPECT_TRUE(near(PackedLinear(weight, bias).gelu(x), expected, 2e-6));
}

}  // namespace
}  // namespace switchyard::kernels

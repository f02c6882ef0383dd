// Guidance inside the model call: which channels are mixed, and how.
#include "dit/guided_forward.h"

#include <gtest/gtest.h>

#include "random_model.h"

namespace switchyard::dit {
namespace {

TEST(GuidedForward, MixesTheFirstChannelsOnly) {
  const at::NoGradGuard no_grad;
  const auto model = random_model(small_config());
  const auto& c = model.config();
  const auto x = random({2, 3, 8, 8}, 5),
             doubled = at::cat({x, random({2, 3, 8, 8}, 6)});  // the second half is not looked at
  const auto t = at::tensor({0.3F, 0.8F}).repeat({2}),
             y = at::tensor({int64_t{1}, int64_t{4}, c.null_class(), c.null_class()});
  const auto predicted = model.forward(at::cat({x, x}), t, y).chunk(2);
  const auto &cond = predicted[0], &uncond = predicted[1];
  for (const int64_t channels : {0, 1, 3}) {
    const auto out = guided_forward(model, doubled, t, y, 2.5, channels).chunk(2);
    const auto mixed = 2.5 * cond - 1.5 * uncond;
    for (int64_t channel = 0; channel < 3; ++channel) {
      const bool guided = channel < channels;
      EXPECT_LE((out[0] - (guided ? mixed : cond)).select(1, channel).abs().max().item<float>(), 1e-5F);
      EXPECT_LE((out[1] - (guided ? mixed : uncond)).select(1, channel).abs().max().item<float>(), 1e-5F);
    }
  }
}

TEST(GuidedForward, HandsOnTheRoutingOfBothHalves) {
  const auto model = random_model(small_config());
  const auto x = random({2, 3, 8, 8}, 5);
  std::vector<kernels::Routing> layers;
  RoutingTape tape;
  tape.tokens.kept = &layers;
  guided_forward(model, x, at::zeros({2}), at::tensor({1, 10}, at::kLong), 2, 3, tape);
  EXPECT_EQ(static_cast<int64_t>(layers.size()), model.config().depth);
  for (const auto& routing : layers) EXPECT_EQ(routing.experts.size(0), 2 * model.config().tokens());
}

}  // namespace
}  // namespace switchyard::dit

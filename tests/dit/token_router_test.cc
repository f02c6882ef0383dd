// Every router of the table, alone and inside a model.
#include "dit/token_router.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "random_model.h"

namespace switchyard::dit {
namespace {

ModelConfig routed_by(std::string_view router) {
  auto config = preset("tiny");
  config.token_router = std::string(router);
  return config;
}

struct Inputs {
  at::Tensor x, t, y;
};

Inputs inputs_for(const ModelConfig& c, int64_t images) {
  return {random({images, c.in_channels, c.input_size, c.input_size}, 7), at::full({images}, 0.5),
          at::arange(images, at::kLong)};
}

class EveryRouter : public ::testing::TestWithParam<TokenRouterKind> {};
INSTANTIATE_TEST_SUITE_P(All, EveryRouter, ::testing::ValuesIn(token_routers().begin(), token_routers().end()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST_P(EveryRouter, RoutesAnImageByItselfAlone) {
  const auto config = routed_by(GetParam().name);
  auto model = random_model(config);
  const auto in = inputs_for(config, 3);
  const at::NoGradGuard no_grad;
  model.pack();
  const auto all = model.forward(in.x, in.t, in.y);
  for (int64_t n = 0; n < 3; ++n) {
    const auto alone = model.forward(in.x.narrow(0, n, 1), in.t.narrow(0, n, 1), in.y.narrow(0, n, 1));
    EXPECT_TRUE(at::equal(alone, all.narrow(0, n, 1))) << "image " << n;
  }
}

TEST_P(EveryRouter, GivesEveryTokenWhatItPromises) {
  const auto config = routed_by(GetParam().name);
  const auto model = random_model(config);
  const auto in = inputs_for(config, 2);
  std::vector<kernels::Routing> layers;
  RoutingTape tape;
  tape.tokens.kept = &layers;
  model.forward(in.x, in.t, in.y, {}, tape);
  for (const auto& routing : layers) {
    const auto filled = routing.experts.ne(kernels::kEmptySlot);
    EXPECT_EQ(filled.sum().item<int64_t>(), 2 * config.tokens() * config.experts_per_token);
    EXPECT_EQ(filled.all().item<bool>(), !GetParam().ragged);
  }
}

TEST_P(EveryRouter, HandsAGradientToGateAndExperts) {
  const auto config = routed_by(GetParam().name);
  auto model = random_model(config);
  std::vector<at::Tensor> leaves;
  for (const auto& [name, tensor] : model.parameters()) leaves.push_back(tensor->set_requires_grad(true));
  const auto in = inputs_for(config, 2);
  const auto gradients =
      torch::autograd::grad({model.forward(in.x, in.t, in.y).square().sum()}, leaves, {}, {}, false, true);
  const auto parameters = model.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].name.find(".moe.") == std::string::npos) continue;
    ASSERT_TRUE(gradients[i].defined()) << parameters[i].name;
    EXPECT_GT(gradients[i].abs().max().item<double>(), 0) << parameters[i].name;
  }
}

TEST_P(EveryRouter, TakesFewerExpertsPerTokenInOneForward) {
  const auto config = routed_by(GetParam().name);
  const auto model = random_model(config);
  const auto in = inputs_for(config, 1);
  std::vector<kernels::Routing> layers;
  RoutingTape tape;
  tape.tokens.kept = &layers;
  model.forward(in.x, in.t, in.y, {.tokens = {}, .timesteps = {}, .experts_per_token = 1}, tape);
  for (const auto& routing : layers)
    EXPECT_EQ(routing.experts.ne(kernels::kEmptySlot).sum().item<int64_t>(), config.tokens());
}

TEST(LossFreeRouter, RaisesTheBiasOfExpertsWithTooFewTokens) {
  DiffusionTransformer model(routed_by("loss_free"));
  initialize(model, 1);
  const auto bias = [&] { return *model.buffers().at(1).tensor; };
  EXPECT_EQ(model.buffers().at(1).name, "blocks.1.moe.gate.e_score_correction_bias");
  EXPECT_TRUE(at::equal(bias(), at::zeros({4})));
  const auto even = at::tensor({5, 5, 5, 5}, at::kLong), skewed = at::tensor({9, 5, 5, 1}, at::kLong);
  model.balance({even, skewed});
  EXPECT_TRUE(at::allclose(bias(), at::tensor({-0.001, 0.0, 0.0, 0.001}).to(at::kFloat)));
  EXPECT_TRUE(at::equal(*model.buffers().at(0).tensor, at::zeros({4})));
}

TEST(LossFreeRouter, ItsBiasMovesTheChoiceAndNotTheWeights) {
  const auto config = routed_by("loss_free");
  auto model = random_model(config);
  model.buffers().at(0).tensor->copy_(at::tensor({0.0f, 2.0f, 0.0f, 0.0f}));
  const auto in = inputs_for(config, 1);
  std::vector<kernels::Routing> layers;
  RoutingTape tape;
  tape.tokens.kept = &layers;
  model.forward(in.x, in.t, in.y, {}, tape);
  EXPECT_TRUE((layers[0].experts.select(1, 0) == 1).all().item<bool>()) << "always chosen first";
  EXPECT_TRUE(at::equal(layers[0].gate_weights, layers[0].probabilities.gather(1, layers[0].experts)));
}

TEST(Blocks, MayHaveDifferentNumbersAndWidthsOfExperts) {
  auto config = preset("tiny");
  config.block_experts = {4, 2};
  config.block_expert_hidden = {16, 32};
  config.validate();
  auto model = random_model(config);
  const auto state = model.state_dict();
  EXPECT_TRUE(state.contains("blocks.0.moe.experts.3.up_proj.weight"));
  EXPECT_FALSE(state.contains("blocks.1.moe.experts.2.up_proj.weight"));
  EXPECT_EQ(state.at("blocks.0.moe.experts.0.up_proj.weight").size(0), 16);
  int64_t numbers = 0;
  for (const auto& parameter : model.parameters()) numbers += parameter.tensor->numel();
  EXPECT_EQ(count_parameters(config).total, numbers);
  const auto tape = RoutingTape::allocate(config, 2, false, at::kCPU);
  const auto in = inputs_for(config, 2);
  const at::NoGradGuard no_grad;
  model.pack();
  model.forward(in.x, in.t, in.y, {}, tape);
  EXPECT_TRUE((tape.tokens.gate_weights[1].narrow(-1, 2, 2) == 0).all().item<bool>());
  EXPECT_TRUE((tape.tokens.gate_weights > 0).sum(-1).eq(2).all().item<bool>());
  config.block_experts = {4, 1};
  EXPECT_THROW(config.validate(), std::invalid_argument) << "each token picks two";
}

}  // namespace
}  // namespace switchyard::dit

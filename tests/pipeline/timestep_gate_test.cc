#include "pipeline/timestep_gate.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "dit/task_masks.h"
#include "dit/timestep_experts.h"
#include "planted_model.h"

namespace switchyard::pipeline {
namespace {

// The timestep's embedding is planted: two numbers that move slowly and never fall. Layer l, looking at them, goes over
// from expert 0 to expert 1 at timestep 200 + 300 l; the others are far behind.
constexpr int64_t crossing(int64_t layer) { return 200 + 300 * layer; }

dit::DiffusionTransformer model_of_timesteps() {
  const at::NoGradGuard no_grad;
  auto config = dit::preset("tiny-switch-dit-moe");
  config.depth = 2;
  dit::DiffusionTransformer model(config);
  dit::initialize(model, 3);
  auto state = model.state_dict();
  // sin(t f) of the slowest frequency rises from 0 to about 0.1; silu(1000 x) is x times 1000 from there on.
  state.at("t_embedder.mlp.0.weight").zero_()[0][255] = 1000;
  state.at("t_embedder.mlp.0.bias").zero_();
  state.at("t_embedder.mlp.2.weight").zero_()[0][0] = 10;
  state.at("t_embedder.mlp.2.bias").zero_();
  const double frequency = std::pow(10000, -127.0 / 128);
  for (int64_t layer = 0; layer < config.depth; ++layer) {
    const auto gate = "routers." + std::to_string(layer) + ".f_gate.1.";
    state.at(gate + "weight").zero_()[1][0] = 1;
    auto bias = state.at(gate + "bias").fill_(-1e4);
    bias[0] = 10000 * std::sin((static_cast<double>(crossing(layer)) - 0.5) * config.time_scale * frequency);
    bias[1] = 0;
  }
  return model;
}

class TimestepGates : public ::testing::TestWithParam<bool> {};

TEST_P(TimestepGates, HoldThePlantedCrossing) {
  auto model = model_of_timesteps();
  if (GetParam()) model.pack();
  const auto gate = timestep_gate(model);
  const auto& config = model.config();
  ASSERT_EQ(gate.probabilities.sizes(), at::IntArrayRef({2, config.num_timesteps, config.timestep_experts}));
  ASSERT_EQ(gate.experts.sizes(), at::IntArrayRef({2, config.num_timesteps, config.experts_per_timestep}));
  EXPECT_TRUE(at::allclose(gate.probabilities.sum(-1), at::ones({2, config.num_timesteps})));
  for (int64_t layer = 0; layer < 2; ++layer) {
    for (const int64_t t : {int64_t{0}, crossing(layer) - 2, crossing(layer) + 1, int64_t{999}}) {
      const int64_t wanted = t >= crossing(layer);
      EXPECT_EQ(gate.experts[layer][t][0].item<int64_t>(), wanted) << "layer " << layer << ", t " << t;
      EXPECT_EQ(gate.probabilities[layer][t].argmax().item<int64_t>(), wanted);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(PlainAndPacked, TimestepGates, ::testing::Bool());

// Drawn back from their ends, the windows are those that training asks for.
TEST(TimestepGate, WindowsAreThePriors) {
  const auto model = model_of_timesteps();
  const auto& c = model.config();
  const auto windows = timestep_gate(model).windows.reshape({-1, 2});
  auto drawn = at::zeros({c.num_timesteps, c.depth * c.timestep_experts});
  for (int64_t column = 0; column < windows.size(0); ++column) {
    const auto first = windows[column][0].item<int64_t>(), last = windows[column][1].item<int64_t>();
    if (first >= 0) drawn.slice(0, first, last + 1).select(1, column).fill_(1);
  }
  EXPECT_TRUE(at::equal(drawn, dit::prior_windows(c)));
}

TEST(TimestepGate, ModelsThatRouteTokensAloneHaveNone) {
  EXPECT_THROW(timestep_gate(planted_model()), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::pipeline

// Routing by timestep against the official code: Switch-DiT's routers over all timesteps, DTR's masks.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>

#include "dit/timestep_experts.h"
#include "parity_case.h"

namespace switchyard::dit {
namespace {

class SwitchParityTest : public ParityTest {
 protected:
  void expect_recorded_routing(const std::string& topic, const std::vector<kernels::Routing>& layers,
                               const at::Tensor& timesteps) const {
    ASSERT_EQ(static_cast<int64_t>(layers.size()), c_.config.depth);
    double worst = 0;
    int64_t choices = 0, wrong = 0;
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      const auto prefix = "router" + std::to_string(layer) + ".";
      const auto probabilities = c_.recorded(prefix + "probs_all_t").index_select(0, timesteps);
      const auto clear = c_.recorded(prefix + "margin_all_t").index_select(0, timesteps).ge(kTie);
      worst = std::max(worst, relative_error(layers[layer].probabilities, probabilities));
      const auto best = std::get<1>(probabilities.topk(c_.config.experts_per_timestep, 1)).index({clear});
      const auto ours = layers[layer].experts.index({clear});
      ASSERT_EQ(ours.sizes(), best.sizes());
      wrong += std::get<0>(ours.sort(1)).ne(std::get<0>(best.sort(1))).sum().item<int64_t>();
      choices += best.numel();
      const auto weights = layers[layer].probabilities.gather(1, layers[layer].experts);
      EXPECT_TRUE(at::equal(layers[layer].gate_weights, weights)) << "gate weights are raw probabilities";
    }
    std::printf("%s %s: %ld of %ld choices differ\n", c_.name.c_str(), topic.c_str(),
                static_cast<long>(wrong), static_cast<long>(choices));
    EXPECT_GT(choices, 0);
    EXPECT_EQ(wrong, 0) << topic;
    expect_within(topic + " probabilities", worst, kForwardLimit);
  }
};

class TaskParityTest : public ParityTest {};

INSTANTIATE_TEST_SUITE_P(All, SwitchParityTest, ::testing::ValuesIn(parity_cases_of({"switch-dit"})),
                         test_name);
INSTANTIATE_TEST_SUITE_P(All, TaskParityTest, ::testing::ValuesIn(parity_cases_of({"dtr"})), test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SwitchParityTest);  // a folder may lack the family
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(TaskParityTest);

TEST_P(SwitchParityTest, RoutersOverAllTimesteps) {
  const at::NoGradGuard no_grad;
  const auto all = at::arange(c_.config.num_timesteps);
  for (const bool packed : {false, true}) {
    expect_recorded_routing(std::string("routers, all timesteps") + form(packed),
                            c_.model(packed).timestep_routing(), all);
  }
}

TEST_P(SwitchParityTest, RoutingInsideTheModel) {
  const at::NoGradGuard no_grad;
  for (const bool packed : {false, true}) {
    std::vector<kernels::Routing> layers;
    RoutingTape tape;
    tape.timesteps.kept = &layers;
    c_.model(packed).forward(c_.recorded("x"), c_.recorded("t"), c_.recorded("y"), {}, tape);
    expect_recorded_routing(std::string("routing") + form(packed), layers, c_.recorded("t"));
  }
}

TEST_P(SwitchParityTest, PriorWindows) {
  EXPECT_TRUE(at::equal(prior_windows(c_.config), c_.recorded("prior_unit_mapping")));
}

TEST_P(TaskParityTest, Masks) {
  const auto masks = c_.model(false).derived_state().at("routers.0._unit_mapping");
  EXPECT_TRUE(at::equal(masks, c_.recorded("task_unit_mapping")));
}

TEST_P(TaskParityTest, TrainingStep) {
  auto model = c_.model(/*packed=*/false);
  std::vector<at::Tensor> leaves;
  for (const auto& [name, tensor] : model.parameters()) leaves.push_back(tensor->set_requires_grad(true));
  const auto out = model.forward(c_.recorded("x"), c_.recorded("t"), c_.recorded("y"));
  const auto mse = (out - c_.recorded("train_target")).square().mean();
  expect_within("training output", relative_error(out, c_.recorded("train_out")), kForwardLimit);
  expect_within("training loss", relative_error(mse, c_.recorded("train_mse")), kForwardLimit);
  expect_gradients(torch::autograd::grad({mse}, leaves));
}

}  // namespace
}  // namespace switchyard::dit

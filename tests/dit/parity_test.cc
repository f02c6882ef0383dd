// The model against the numbers of the official research code: every case found in the fixture folder
// (parity_case.h).
//
// Each comparison prints its worst error beside its limit; the limits are those of the fixtures' README.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>

#include "dit/embedding.h"
#include "dit/guided_forward.h"
#include "parity_case.h"
#include "sampler/guidance.h"
#include "sampler/solvers.h"
#include "sampler/time_grid.h"

namespace switchyard::dit {
namespace {

class MoeParityTest : public ParityTest {
 protected:
  std::vector<kernels::Routing> routing_of_forward(const DiffusionTransformer& model) const {
    std::vector<kernels::Routing> layers;
    RoutingTape tape;
    tape.tokens.kept = &layers;
    model.forward(c_.recorded("x"), c_.recorded("t"), c_.recorded("y"), {}, tape);
    return layers;
  }

  void expect_recorded_routing(const std::string& topic, const std::vector<kernels::Routing>& layers) const;
};

TEST(ParityFixtures, FolderHoldsCases) {
  EXPECT_FALSE(parity_cases().empty())
      << "no case (NAME.json, NAME.weights.safetensors, NAME.io.safetensors) in " << searched_folders();
  for (const auto& c : parity_cases())
    EXPECT_FALSE(c.family.empty()) << (c.folder / c.name) << ".json names no family";
}

INSTANTIATE_TEST_SUITE_P(All, ParityTest, ::testing::ValuesIn(parity_cases()), test_name);
INSTANTIATE_TEST_SUITE_P(All, MoeParityTest, ::testing::ValuesIn(parity_cases_of({"dit-moe"})), test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(MoeParityTest);  // a folder may lack the family

TEST_P(ParityTest, PositionEmbedding) {
  const auto expected = c_.weights.at("pos_embed");
  const auto ours = position_embedding(c_.config.hidden_size, c_.config.input_size / c_.config.patch_size);
  expect_within("position embedding", relative_error(ours, expected), 1e-6);
}

TEST_P(ParityTest, Forward) {
  const at::NoGradGuard no_grad;
  for (const bool packed : {false, true}) {
    const auto out = c_.model(packed).forward(c_.recorded("x"), c_.recorded("t"), c_.recorded("y"));
    const auto& expected = c_.recorded("out");
    expect_within(std::string("forward") + form(packed),
                  relative_error(recorded_channels(out, expected), expected), kForwardLimit);
  }
}

TEST_P(ParityTest, Guidance) {
  const at::NoGradGuard no_grad;
  for (const bool packed : {false, true}) {
    const auto out =
        guided_forward(c_.model(packed), c_.recorded("cfg_x"), c_.recorded("cfg_t"), c_.recorded("cfg_y"),
                       c_.json.at("cfg_scale").get<double>(), officially_guided_channels(c_.config));
    const auto& expected = c_.recorded("cfg_out");
    expect_within(std::string("guidance") + form(packed),
                  relative_error(recorded_channels(out, expected), expected), kForwardLimit);
  }
}

void MoeParityTest::expect_recorded_routing(const std::string& topic,
                                            const std::vector<kernels::Routing>& layers) const {
  ASSERT_EQ(static_cast<int64_t>(layers.size()), c_.config.depth);
  double worst_probability = 0, worst_weight = 0;
  int64_t choices = 0, wrong = 0;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const auto prefix = "block" + std::to_string(layer) + ".";
    const auto &probabilities = c_.recorded(prefix + "probs"), &weights = c_.recorded(prefix + "topk_weight");
    const auto clear = c_.recorded(prefix + "margin").ge(kTie);  // [N T]
    const auto& ours = layers[layer];
    worst_probability = std::max(worst_probability, relative_error(ours.probabilities, probabilities));

    const auto experts = c_.recorded(prefix + "topk_idx").to(at::kLong).index({clear});
    const auto our_experts = ours.experts.index({clear});
    ASSERT_EQ(our_experts.sizes(), experts.sizes());
    if (experts.numel() == 0) continue;
    // The same set, and in the same order but for chosen experts of (nearly) equal weight.
    const auto other_set = std::get<0>(our_experts.sort(1)).ne(std::get<0>(experts.sort(1)));
    const auto place =
        probabilities.index({clear}).gather(1, our_experts).sub(weights.index({clear})).abs().ge(kTie);
    wrong += other_set.logical_or(place).sum().item<int64_t>();
    choices += experts.numel();
    worst_weight =
        std::max(worst_weight, relative_error(ours.gate_weights.index({clear}), weights.index({clear})));
  }
  std::printf("%s %s: %ld of %ld choices differ\n", c_.name.c_str(), topic.c_str(), static_cast<long>(wrong),
              static_cast<long>(choices));
  EXPECT_GT(choices, 0);
  EXPECT_EQ(wrong, 0) << topic;
  expect_within(topic + " probabilities", worst_probability, kForwardLimit);
  expect_within(topic + " gate weights", worst_weight, kForwardLimit);
}

TEST_P(MoeParityTest, RoutingInsideTheModel) {
  const at::NoGradGuard no_grad;
  for (const bool packed : {false, true}) {
    expect_recorded_routing(std::string("routing") + form(packed), routing_of_forward(c_.model(packed)));
  }
}

TEST_P(MoeParityTest, RouterOnRecordedInput) {
  std::vector<kernels::Routing> layers;
  for (int64_t layer = 0; layer < c_.config.depth; ++layer) {
    const auto input = c_.recorded("block" + std::to_string(layer) + ".gate_in").flatten(0, 1);
    const auto weight = c_.weights.at("blocks." + std::to_string(layer) + ".moe.gate.weight");
    layers.push_back(
        kernels::route_top_k(kernels::linear_reference(input, weight, {}), c_.config.experts_per_token));
  }
  expect_recorded_routing("router", layers);
}

TEST_P(MoeParityTest, TrainingStep) {
  auto model = c_.model(/*packed=*/false);
  std::vector<at::Tensor> leaves;
  for (const auto& [name, tensor] : model.parameters()) leaves.push_back(tensor->set_requires_grad(true));

  std::vector<kernels::Routing> layers;
  RoutingTape tape;
  tape.tokens.kept = &layers;
  const auto out = model.forward(c_.recorded("x"), c_.recorded("t"), c_.recorded("y"), {}, tape);
  std::vector<at::Tensor> balance;
  for (const auto& routing : layers) balance.push_back(balance_loss(routing, expert_choices(routing)));
  const auto auxiliary = at::stack(balance) * c_.json.at("config").at("aux_loss_alpha").get<double>();
  const auto mse = (out - c_.recorded("train_target")).square().mean();
  expect_within("training output", relative_error(out, c_.recorded("train_out")), kForwardLimit);
  expect_within("training loss", relative_error(mse, c_.recorded("train_mse")), kForwardLimit);
  expect_within("balance loss", relative_error(auxiliary, c_.recorded("train_aux_per_block")), kForwardLimit);

  expect_gradients(torch::autograd::grad({mse + auxiliary.sum()}, leaves));
}

// z_t = (1 - t) x + t noise; the loss per image is the mean of (v_theta - (noise - x))^2.
TEST_P(MoeParityTest, RectifiedFlowLoss) {
  const at::NoGradGuard no_grad;
  const auto &x = c_.recorded("rf_x"), &noise = c_.recorded("rf_noise"), &t = c_.recorded("rf_t");
  const auto t_image = t.view({-1, 1, 1, 1});
  const auto output =
      c_.model(/*packed=*/false).forward((1 - t_image) * x + t_image * noise, t, c_.recorded("rf_y"));
  const auto velocity = output.narrow(1, 0, c_.config.in_channels);
  const auto per_image = (velocity - (noise - x)).square().flatten(1).mean(1);
  expect_within("rectified flow loss per image", relative_error(per_image, c_.recorded("rf_per_sample")),
                kForwardLimit);
  expect_within("rectified flow loss", relative_error(per_image.mean(), c_.recorded("rf_loss")),
                kForwardLimit);
}

TEST_P(MoeParityTest, RectifiedFlowSampling) {
  const at::NoGradGuard no_grad;
  const auto model = c_.model(/*packed=*/true);
  const auto &classes = c_.recorded("rf_cond"), &states = c_.recorded("rf_traj"),
             &previews = c_.recorded("rf_x0_preds");
  const int steps = c_.json.at("rf").at("steps").get<int>();
  ASSERT_EQ(states.size(0), steps + 1);

  const auto velocity = [&](const at::Tensor& z, double t, const at::Tensor& y) {
    return model.forward(z, at::full({z.size(0)}, t), y).narrow(1, 0, c_.config.in_channels);
  };
  const auto guided = sampler::guide(
      [&](const at::Tensor& z, double t) { return velocity(z, t, classes); },
      [&](const at::Tensor& z, double t) {
        const auto both =
            velocity(at::cat({z, z}), t, at::cat({classes, at::full_like(classes, c_.config.null_class())}));
        const auto halves = both.chunk(2);
        return std::pair{halves[0], halves[1]};
      },
      {.scale = c_.json.at("rf").at("cfg").get<double>()});
  const auto times = sampler::time_grid(steps);

  double worst_state = relative_error(c_.recorded("rf_z"), states[0]), worst_preview = 0;
  for (int step = 0; step < steps; ++step) {
    at::Tensor preview;
    const auto next =
        sampler::solve(sampler::Solver::euler, guided, states[step], {times[step], times[step + 1]},
                       [&](const sampler::StepInfo& info) { return preview = info.x_hat, true; });
    ASSERT_TRUE(next.has_value());
    worst_state = std::max(worst_state, relative_error(*next, states[step + 1]));
    worst_preview = std::max(worst_preview, relative_error(preview, previews[step + 1]));
  }
  expect_within("rectified flow, each step: state", worst_state, kStepLimit);
  expect_within("rectified flow, each step: clean image", worst_preview, kStepLimit);

  // Running freely, rounding may flip a route some day: how far it stays together is told, not demanded.
  int together = 0;
  double last = 0;
  const auto end = sampler::solve(sampler::Solver::euler, guided, c_.recorded("rf_z"), times,
                                  [&](const sampler::StepInfo& info) {
                                    last = relative_error(info.z, states[info.index + 1]);
                                    if (last <= kStepLimit && together == info.index) ++together;
                                    return true;
                                  });
  ASSERT_TRUE(end.has_value());
  EXPECT_GE(together, 1) << "the first step starts from the recorded noise";
  std::printf("%s rectified flow, running freely: together for %d of %d steps, error at the end %.2g\n",
              c_.name.c_str(), together, steps, last);
}

}  // namespace
}  // namespace switchyard::dit

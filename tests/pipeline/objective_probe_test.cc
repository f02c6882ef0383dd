// The probe on models trained both ways: right statements pass, wrong ones are found out.
#include "pipeline/objective_probe.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cstdio>
#include <numbers>

#include "../io/scratch.h"
#include "../dit/random_model.h"

namespace switchyard::pipeline {
namespace {

using dit::DiffusionTransformer;
using dit::ModelConfig;

ModelConfig probe_config(const std::string& schedule, const std::string& prediction) {
  auto config = dit::small_config();
  config.patch_size = 2;  // 12 numbers per patch in 32 channels: noise passes through
  config.num_classes = 1;
  config.time_scale = 1;
  config.toward_image = schedule == "sit";
  config.schedule = config.toward_image ? "rectified_flow" : schedule;
  config.prediction = prediction;
  return config;
}

// Images of a smooth colour, 0.5 large: [n, 3, 8, 8].
at::Tensor images(int64_t n, const at::Generator& generator) {
  return (at::randn({n, 3, 1, 1}, generator) * 0.5).expand({n, 3, 8, 8});
}

// A few hundred steps of Adam on the objective's own loss.
DiffusionTransformer trained(const ModelConfig& config) {
  DiffusionTransformer model(config);
  dit::initialize(model, 5);
  std::vector<at::Tensor> leaves, first, second;
  for (const auto& [name, tensor] : model.parameters()) {
    leaves.push_back(tensor->set_requires_grad(true));
    first.push_back(at::zeros_like(*tensor));
    second.push_back(at::zeros_like(*tensor));
  }
  const auto generator = at::detail::createCPUGenerator(9);
  constexpr int64_t kBatch = 16;
  for (int step = 1; step <= 250; ++step) {
    const auto x = images(kBatch, generator), noise = at::randn(x.sizes(), generator);
    auto t = at::rand({kBatch}, generator);
    at::Tensor alpha, sigma;
    if (config.schedule == "rectified_flow") {
      alpha = 1 - t;
      sigma = t;
    } else {  // cosine
      t = at::floor(t * 1000);
      alpha = at::cos((t / 1000 + 0.008) / 1.008 * std::numbers::pi / 2);
      sigma = at::sqrt(1 - alpha.square());
    }
    const auto noisy = alpha.view({-1, 1, 1, 1}) * x + sigma.view({-1, 1, 1, 1}) * noise;
    const auto target = config.prediction == "velocity" ? noise - x
                        : config.prediction == "noise"  ? noise
                                                        : x;
    const auto loss = (model.forward(noisy, t, at::ones({kBatch}, at::kLong)) - target).square().mean();
    const auto gradients = torch::autograd::grad({loss}, leaves, {}, {}, false, /*allow_unused=*/true);
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (!gradients[i].defined()) continue;
      first[i].mul_(0.9).add_(gradients[i], 0.1);
      second[i].mul_(0.99).addcmul_(gradients[i], gradients[i], 0.01);
      const auto size = (second[i] / (1 - std::pow(0.99, step))).sqrt() + 1e-8;
      leaves[i].addcdiv_(first[i] / (1 - std::pow(0.9, step)), size, -3e-3);
    }
  }
  for (auto& leaf : leaves) leaf.set_requires_grad(false);
  return model;
}

// The same weights under another statement.
DiffusionTransformer stated(DiffusionTransformer& model, const std::string& schedule,
                            const std::string& prediction) {
  DiffusionTransformer other(probe_config(schedule, prediction));
  auto state = other.state_dict();
  for (const auto& [name, tensor] : model.state_dict()) state.at(name).copy_(tensor);
  return other;
}

struct ProbeCase {
  const char *schedule, *prediction, *wrong_schedule, *wrong_prediction;
};

class ObjectiveProbe : public ::testing::TestWithParam<ProbeCase> {};
INSTANTIATE_TEST_SUITE_P(Trained, ObjectiveProbe,
                         ::testing::Values(ProbeCase{"rectified_flow", "velocity", "cosine", "noise"},
                                           ProbeCase{"cosine", "noise", "rectified_flow", "velocity"},
                                           ProbeCase{"sit", "velocity", "cosine", "noise"},
                                           ProbeCase{"sit", "velocity", "rectified_flow", "velocity"},
                                           ProbeCase{"rectified_flow", "clean_image", "rectified_flow",
                                                     "velocity"}));

TEST_P(ObjectiveProbe, TheRightStatementPassesTheWrongOneDoesNot) {
  const auto& c = GetParam();
  auto model = trained(probe_config(c.schedule, c.prediction));
  const auto right = probe_objective(model);
  EXPECT_FALSE(right) << *right;
  const auto wrong = probe_objective(stated(model, c.wrong_schedule, c.wrong_prediction));
  ASSERT_TRUE(wrong) << "stated " << c.wrong_schedule << ' ' << c.wrong_prediction;
  std::printf("%s\n", wrong->c_str());
  const auto named = [](const char* prediction) { return '"' + std::string(prediction) + '"'; };
  const auto turn = wrong->find("but like");
  EXPECT_TRUE(io::contains(wrong->substr(turn), named(c.prediction))) << "the fitting objective is named";
  EXPECT_TRUE(io::contains(wrong->substr(0, turn), named(c.wrong_prediction))) << "and the stated one";
}

TEST(ObjectiveProbeOfUntrained, SaysNothing) {
  DiffusionTransformer model(probe_config("rectified_flow", "velocity"));
  dit::initialize(model, 0);
  // It answers zero, which is what a clean-image model makes of grey.
  for (auto& [name, tensor] : model.state_dict())
    if (name != "pos_embed") tensor.add_(dit::random(tensor.sizes(), 3));
  EXPECT_FALSE(probe_objective(model));
}

}  // namespace
}  // namespace switchyard::pipeline

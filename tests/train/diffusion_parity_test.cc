// The losses of diffusion training against the official code: mean squared error and variational bound under
// each recorded weighting, and Switch-DiT's training step with the diffusion prior.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numbers>

#include "../dit/parity_case.h"
#include "dit/timestep_experts.h"
#include "train/diffusion_loss.h"
#include "train/prior_loss.h"

namespace switchyard::train {
namespace {

using dit::kForwardLimit;
using dit::ParityTest;
using dit::relative_error;

// The coefficients of all timesteps, in double. `schedule` is "linear 1000" or "cosine ... 1000" as the cases
// write it.
DiffusionCoefficients schedule_from(const std::string& schedule) {
  const int64_t count = std::stoll(schedule.substr(schedule.find_last_of(' ') + 1));
  const auto steps = at::arange(count, at::kDouble);
  at::Tensor beta;
  if (schedule.starts_with("cosine")) {
    const auto bar = [&](const at::Tensor& i) {
      return at::cos((i / static_cast<double>(count) + 0.008) / 1.008 * std::numbers::pi / 2).square();
    };
    beta = (1 - bar(steps + 1) / bar(steps)).clamp_max(0.999);
  } else {
    const double scale = 1000.0 / static_cast<double>(count);
    beta = at::linspace(scale * 1e-4, scale * 0.02, count, at::kDouble);
  }
  const auto bar = at::cumprod(1 - beta, 0);
  const auto previous = at::cat({at::ones({1}, at::kDouble), bar.slice(0, 0, count - 1)});
  auto variance = beta * (1 - previous) / (1 - bar);
  variance[0] = variance[1];  // zero at the first
  return {bar, previous, beta, at::log(variance)};
}

DiffusionCoefficients at_timesteps(const DiffusionCoefficients& all, const at::Tensor& t) {
  const auto of = [&](const at::Tensor& values) { return values.index_select(0, t); };
  return {of(all.alpha_bar), of(all.alpha_bar_previous), of(all.beta), of(all.posterior_log_variance)};
}

class DiffusionLossParityTest : public ParityTest {
 protected:
  // The loss of recorded images x, noise and labels at t: {mean squared error, variational bound}, per image.
  std::pair<at::Tensor, at::Tensor> losses(const std::string& prefix, const DiffusionCoefficients& c) const {
    const at::NoGradGuard no_grad;
    const auto &x = c_.recorded(prefix + "x"), &noise = c_.recorded(prefix + "noise"),
               &t = c_.recorded(prefix + "t");
    const auto bar = c.alpha_bar.view({-1, 1, 1, 1});
    const auto x_t = (at::sqrt(bar) * x + at::sqrt(1 - bar) * noise).to(at::kFloat);
    const auto output = c_.model(/*packed=*/false).forward(x_t, t, c_.recorded(prefix + "y"));
    const auto halves = output.chunk(2, 1);
    return {mean_squared_error(halves[0], noise), variational_bound(x, x_t, halves[0], halves[1], t, c)};
  }

  DiffusionCoefficients schedule(const at::Tensor& t) const {
    return at_timesteps(schedule_from(c_.json.at("ddpm").at("schedule").get<std::string>()), t);
  }
};

INSTANTIATE_TEST_SUITE_P(All, DiffusionLossParityTest,
                         ::testing::ValuesIn(dit::parity_cases_of({"dit", "dit-moe", "switch-dit", "dtr"})),
                         dit::test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DiffusionLossParityTest);

TEST_P(DiffusionLossParityTest, OfTokenRoutedModels) {
  if (!c_.io.contains("ddpm_train_loss")) GTEST_SKIP() << "not recorded for this case";
  const auto [mse, bound] = losses("ddpm_train_", schedule(c_.recorded("ddpm_train_t")));
  expect_within("mean squared error", relative_error(mse, c_.recorded("ddpm_train_mse")), kForwardLimit);
  expect_within("variational bound", relative_error(bound, c_.recorded("ddpm_train_vb")), kForwardLimit);
  expect_within("loss", relative_error(mse + bound, c_.recorded("ddpm_train_loss")), kForwardLimit);
}

// The weightings are named by the case: "constant", "min_snr_GAMMA", "p2weight_GAMMA_K".
TEST_P(DiffusionLossParityTest, Weighted) {
  const std::string prefix = "loss.", suffix = ".total";
  int compared = 0;
  for (const auto& [name, total] : c_.io) {
    if (!name.starts_with(prefix) || !name.ends_with(suffix)) continue;
    const auto weighting = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
    const auto c = schedule(c_.recorded("loss_t"));
    auto [mse, bound] = losses("loss_", c);
    if (weighting.starts_with("min_snr_")) {
      mse = mse * min_snr_weight(c.alpha_bar, std::stod(weighting.substr(8)));
    } else if (weighting.starts_with("p2weight_")) {
      const auto numbers = weighting.substr(9);
      mse =
          mse * p2_weight(c.alpha_bar, std::stod(numbers), std::stod(numbers.substr(numbers.find('_') + 1)));
    } else {
      ASSERT_EQ(weighting, "constant");
    }
    expect_within(weighting + ": error", relative_error(mse, c_.recorded(prefix + weighting + ".mse")),
                  kForwardLimit);
    expect_within(weighting + ": bound", relative_error(bound, c_.recorded(prefix + weighting + ".vb")),
                  kForwardLimit);
    expect_within(weighting + ": total", relative_error(mse + bound, total), kForwardLimit);
    ++compared;
  }
  if (compared == 0) GTEST_SKIP() << "not recorded for this case";
}

class PriorParityTest : public ParityTest {};
INSTANTIATE_TEST_SUITE_P(All, PriorParityTest, ::testing::ValuesIn(dit::parity_cases_of({"switch-dit"})),
                         dit::test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(PriorParityTest);

TEST_P(PriorParityTest, Matching) {
  const at::NoGradGuard no_grad;
  const auto routing = c_.model(/*packed=*/false).timestep_routing();
  const auto windows = dit::prior_windows(c_.config);
  const auto &gates = c_.recorded("prior_gate_perm"), &columns = c_.recorded("prior_prior_perm");
  const auto& recorded_cost = c_.recorded("prior_cost_matrix");
  const auto cost = prior_cost(routing, windows, gates, columns);
  // Where a timestep's choice is a tie, either is right, and two entries of a row differ by at most one each.
  int64_t ties = 0;
  for (int64_t layer = 0; layer < c_.config.depth; ++layer)
    ties +=
        c_.recorded("router" + std::to_string(layer) + ".margin_all_t").lt(dit::kTie).sum().item<int64_t>();
  const double largest = (cost - recorded_cost).abs().max().item<double>();
  EXPECT_LE(largest, static_cast<double>(ties));

  const auto match = match_prior(routing, windows, gates, columns);
  const double theirs = recorded_cost.gather(1, c_.recorded("prior_match").unsqueeze(1)).sum().item<double>();
  std::printf("%s matching: total cost %g, recorded %g; entries differ by at most %g (%ld ties)\n",
              c_.name.c_str(), match.total_cost, theirs, largest, static_cast<long>(ties));
  EXPECT_LE(std::abs(match.total_cost - theirs), static_cast<double>(2 * ties));
}

TEST_P(PriorParityTest, TrainingStep) {
  auto model = c_.model(/*packed=*/false);
  std::vector<at::Tensor> leaves;
  for (const auto& [name, tensor] : model.parameters()) leaves.push_back(tensor->set_requires_grad(true));

  std::vector<kernels::Routing> layers;
  dit::RoutingTape tape;
  tape.timesteps.kept = &layers;
  const auto &t = c_.recorded("t"), &target = c_.recorded("train_target");
  const auto out = model.forward(c_.recorded("x"), t, c_.recorded("y"), {}, tape);
  std::vector<at::Tensor> probabilities;
  for (const auto& routing : layers) probabilities.push_back(routing.probabilities);
  const auto mse = (out - target).square().mean();
  const PriorMatch recorded{c_.recorded("prior_gate_perm"), c_.recorded("prior_prior_perm"),
                            c_.recorded("prior_match"), 0};
  const auto prior = prior_loss(probabilities, t, dit::prior_windows(c_.config), recorded);
  expect_within("training output", relative_error(out, c_.recorded("train_out")), kForwardLimit);
  expect_within("training loss", relative_error(mse, c_.recorded("train_mse")), kForwardLimit);
  expect_within("prior loss", relative_error(prior, c_.recorded("train_aux")), kForwardLimit);
  expect_gradients(torch::autograd::grad({mse + prior}, leaves));
}

}  // namespace
}  // namespace switchyard::train

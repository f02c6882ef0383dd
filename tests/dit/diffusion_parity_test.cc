// DDPM and DDIM of the official code, with the recorded noise: step by step, then freely.
//
// The formulas stand here on their own, in double: Ho et al. 2020 (DDPM), Nichol and Dhariwal 2021 (cosine
// schedule, learned variance, respacing), Song et al. 2021 (DDIM).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <numbers>

#include "dit/guided_forward.h"
#include "parity_case.h"

namespace switchyard::dit {
namespace {

std::vector<double> alphas_cumprod(const std::string& schedule, int64_t count) {
  const auto cosine = [&](double i) {
    return std::pow(std::cos((i / static_cast<double>(count) + 0.008) / 1.008 * std::numbers::pi / 2), 2);
  };
  const double n = static_cast<double>(count);
  std::vector<double> products;
  double product = 1;
  for (int64_t i = 0; i < count; ++i) {
    const double step = static_cast<double>(i);
    const double beta = schedule.starts_with("cosine") ? std::min(0.999, 1 - cosine(step + 1) / cosine(step))
                                                       : 1000 / n * (1e-4 + step / (n - 1) * (0.02 - 1e-4));
    products.push_back(product *= 1 - beta);
  }
  return products;
}

// One respaced step from timesteps[index] to the one before it.
struct Step {
  double alpha_bar, previous, beta, log_least, log_most;
  bool last;

  Step(const std::vector<double>& bar, const std::vector<int64_t>& rising, size_t index)
      : alpha_bar(bar[rising[index]]), previous(index > 0 ? bar[rising[index - 1]] : 1.0), last(index == 0) {
    beta = 1 - alpha_bar / previous;
    const auto posterior = [&](size_t i) {
      const double here = bar[rising[i]], before = i > 0 ? bar[rising[i - 1]] : 1.0;
      return (1 - here / before) * (1 - before) / (1 - here);
    };
    log_least = std::log(posterior(last ? 1 : index));  // at the last step it would be log 0
    log_most = std::log(beta);
  }

  at::Tensor clean(const at::Tensor& x, const at::Tensor& noise) const {
    return (x - std::sqrt(1 - alpha_bar) * noise) / std::sqrt(alpha_bar);
  }
};

class DiffusionParityTest : public ParityTest {
 protected:
  using Next = std::function<at::Tensor(const Step&, const at::Tensor& x, const at::Tensor& output,
                                        const at::Tensor& noise)>;

  void expect_trajectory(const std::string& sampler, const Next& next) const {
    const at::NoGradGuard no_grad;
    const auto& settings = c_.json.at("ddpm");
    const auto schedule = settings.at("schedule").get<std::string>();
    const auto count = std::stoll(schedule.substr(schedule.find_last_of(' ') + 1));
    const auto bar = alphas_cumprod(schedule, count);
    const auto &kept = c_.recorded(sampler + "_timesteps"), &states = c_.recorded(sampler + "_traj");
    const auto &noise = c_.recorded(sampler + "_noise"), &y = c_.recorded(sampler + "_y");
    std::vector<int64_t> rising;
    for (int64_t i = kept.size(0); i-- > 0;) rising.push_back(kept[i].item<int64_t>());
    const auto model = c_.model(/*packed=*/true);

    const auto step_from = [&](const at::Tensor& state, int64_t k) {
      const auto index = rising.size() - 1 - static_cast<size_t>(k);
      const auto t = at::full({state.size(0)}, rising[index], at::kLong);
      const auto output = guided_forward(model, state, t, y, settings.at("cfg").get<double>(),
                                         officially_guided_channels(c_.config));
      return next(Step(bar, rising, index), state.to(at::kDouble), output.to(at::kDouble), noise[k])
          .to(at::kFloat);
    };
    double worst = 0, last = 0;
    int64_t together = 0;
    auto free = c_.recorded(sampler + "_z");
    for (int64_t k = 0; k < kept.size(0); ++k) {
      const auto from = k > 0 ? states[k - 1] : c_.recorded(sampler + "_z");
      worst = std::max(worst, relative_error(step_from(from, k), states[k]));
      free = step_from(free, k);
      last = relative_error(free, states[k]);
      if (last <= kStepLimit && together == k) ++together;
    }
    expect_within(sampler + ", each step", worst, kStepLimit);
    std::printf("%s %s, running freely: together for %ld of %ld steps, error at the end %.2g\n",
                c_.name.c_str(), sampler.c_str(), static_cast<long>(together),
                static_cast<long>(kept.size(0)), last);
  }

  bool recorded_sampler(const std::string& sampler) const {
    return c_.json.contains("ddpm") && c_.io.contains(sampler + "_traj");
  }
};

INSTANTIATE_TEST_SUITE_P(All, DiffusionParityTest,
                         ::testing::ValuesIn(parity_cases_of({"dit", "dit-moe", "switch-dit", "dtr"})),
                         test_name);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DiffusionParityTest);

TEST_P(DiffusionParityTest, Ddpm) {
  if (!recorded_sampler("ddpm")) GTEST_SKIP() << "not recorded for this case";
  const int64_t channels = c_.config.in_channels;
  expect_trajectory(
      "ddpm", [&](const Step& s, const at::Tensor& x, const at::Tensor& output, const at::Tensor& noise) {
        const auto clean = s.clean(x, output.narrow(1, 0, channels));
        const double alpha = 1 - s.beta;
        const auto mean = (std::sqrt(s.previous) * s.beta * clean + std::sqrt(alpha) * (1 - s.previous) * x) /
                          (1 - s.alpha_bar);
        if (s.last) return mean;
        if (!c_.config.learn_sigma) return mean + std::exp(0.5 * s.log_most) * noise;
        const auto share = (output.narrow(1, channels, channels) + 1) / 2;
        return mean + at::exp(0.5 * (share * s.log_most + (1 - share) * s.log_least)) * noise;
      });
}

TEST_P(DiffusionParityTest, Ddim) {
  if (!recorded_sampler("ddim")) GTEST_SKIP() << "not recorded for this case";
  expect_trajectory("ddim",
                    [&](const Step& s, const at::Tensor& x, const at::Tensor& output, const at::Tensor&) {
                      const auto noise = output.narrow(1, 0, c_.config.in_channels);
                      return std::sqrt(s.previous) * s.clean(x, noise) + std::sqrt(1 - s.previous) * noise;
                    });
}

}  // namespace
}  // namespace switchyard::dit

#include "dit/objective_probe.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

namespace switchyard::dit {
namespace {

struct Objective {
  bool flow;
  std::string_view prediction;
  double error = 0;  // the larger of both noise levels
};

bool is_flow(const ModelConfig& c) { return c.schedule == "rectified_flow"; }

// The product of (1 - beta) up to t of the diffusion schedule; of the linear one where the model states none.
double alphas_cumprod(const ModelConfig& c, int64_t t) {
  const double count = static_cast<double>(c.num_timesteps), scale = 1000 / count;
  const auto cosine = [&](double i) {
    return std::pow(std::cos((i / count + 0.008) / 1.008 * std::numbers::pi / 2), 2);
  };
  double product = 1;
  for (int64_t i = 0; i <= t; ++i) {
    const double step = static_cast<double>(i), share = step / std::max(1.0, count - 1);
    double beta = scale * (1e-4 + share * (0.02 - 1e-4));
    if (c.schedule == "cosine") beta = 1 - cosine(step + 1) / cosine(step);
    if (c.schedule == "scaled_linear") {
      const double root = std::sqrt(0.00085) + share * (std::sqrt(0.012) - std::sqrt(0.00085));
      beta = scale * root * root;
    }
    product *= 1 - std::min(beta, 0.999);
  }
  return product;
}

// What the objective makes of pure noise z behind which there is nothing, as a factor on z.
double expected_share(const Objective& objective, double alpha) {
  if (objective.prediction == "clean_image") return 0;
  return objective.prediction == "v" ? alpha : 1;
}

std::string text_of(const Objective& objective) {
  return (objective.flow ? "rectified flow with prediction \"" : "a diffusion schedule with prediction \"") +
         std::string(objective.prediction) + "\"";
}

}  // namespace

std::optional<std::string> probe_objective(const DiffusionTransformer& model) {
  const at::NoGradGuard no_grad;
  const auto& c = model.config();
  constexpr int64_t kImages = 4;
  const auto z =
      at::randn({kImages, c.in_channels, c.input_size, c.input_size}, at::detail::createCPUGenerator(31));
  const auto label = at::full({kImages}, c.null_class(), at::kLong);
  const double power = z.square().mean().item<double>();

  std::vector<Objective> objectives = {{false, "noise"}, {false, "clean_image"}, {false, "v"}};
  if (!c.integer_timesteps())
    objectives.insert(objectives.end(), {{true, "velocity"}, {true, "clean_image"}});
  for (const bool flow : {false, true}) {
    if (flow && c.integer_timesteps()) continue;
    for (const double place : {1.0, 0.3}) {  // pure noise, and little of it, which the answer has to amplify
      const auto last = static_cast<double>(c.num_timesteps - 1);
      const double t = flow ? place : std::floor(place * last);
      const double alpha = flow ? 0 : std::sqrt(alphas_cumprod(c, static_cast<int64_t>(t)));
      const double sigma = flow ? t : std::sqrt(1 - alpha * alpha);
      // A model of ours may scale the times of the flow; diffusion times reach the embedding as they are.
      const double shown = flow ? t : t / c.time_scale;
      const auto answer = model.forward(sigma * z, at::full({kImages}, shown, at::kDouble), label)
                              .narrow(1, 0, c.in_channels);
      for (auto& objective : objectives) {
        if (objective.flow != flow) continue;
        const double error =
            (answer - expected_share(objective, alpha) * z).square().mean().item<double>() / power;
        objective.error = std::max(objective.error, std::isfinite(error) ? error : HUGE_VAL);
      }
    }
  }

  const std::string stated_prediction = c.prediction == "noise_and_variance" ? "noise" : c.prediction;
  const auto stated = std::ranges::find_if(objectives, [&](const Objective& objective) {
    return objective.flow == is_flow(c) && objective.prediction == stated_prediction;
  });
  const auto best = std::ranges::min_element(objectives, {}, &Objective::error);
  // A velocity or a noise prediction of gross errors still resembles z, so what counts is who fits clearly
  // better.
  constexpr double kFits = 0.5, kDoubtful = 0.1, kClearly = 3;
  if (stated == objectives.end() || stated->error < kDoubtful || best->error >= kFits ||
      stated->error < kClearly * best->error)
    return std::nullopt;
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, " (relative error on noise %.2g, against %.2g)", stated->error,
                best->error);
  return "the model does not answer like " + text_of(*stated) + ", but like " + text_of(*best) + numbers;
}

}  // namespace switchyard::dit

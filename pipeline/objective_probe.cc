#include "pipeline/objective_probe.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "sampler/schedule.h"

namespace switchyard::pipeline {
namespace {

struct Objective {
  bool flow;
  std::string_view prediction;
  double error = 0;  // the larger of both noise levels
};

bool is_flow(const dit::ModelConfig& c) { return c.schedule == "rectified_flow"; }

// What the objective calls the image x in the noise z.
at::Tensor target_of(std::string_view prediction, const at::Tensor& x, const at::Tensor& z, double alpha,
                     double sigma) {
  if (prediction == "noise") return z;
  if (prediction == "clean_image") return x;
  return prediction == "velocity" ? z - x : alpha * z - sigma * x;
}

std::string text_of(const Objective& objective) {
  return (objective.flow ? "rectified flow with prediction \"" : "a diffusion schedule with prediction \"") +
         std::string(objective.prediction) + "\"";
}

}  // namespace

std::optional<std::string> probe_objective(const dit::DiffusionTransformer& model) {
  const at::NoGradGuard no_grad;
  const auto& c = model.config();
  // Large models get by with one image: the error is a mean over its pixels.
  constexpr int64_t kLarge = 100'000'000;
  const int64_t images = dit::count_parameters(c).activated > kLarge ? 1 : 4;
  const auto generator = at::detail::createCPUGenerator(31);
  const auto z = at::randn({images, c.in_channels, c.input_size, c.input_size}, generator);
  const auto colour = at::randn({images, c.in_channels, 1, 1}, generator).sign() * 0.6;
  const auto x = colour.expand_as(z);
  const auto label = at::full({images}, c.null_class(), at::kLong);

  std::vector<Objective> objectives = {{false, "noise"}, {false, "clean_image"}, {false, "v"}};
  if (!c.integer_timesteps())
    objectives.insert(objectives.end(), {{true, "velocity"}, {true, "clean_image"}});
  for (const bool flow : {false, true}) {
    if (flow && c.integer_timesteps()) continue;
    // Where the model states no diffusion schedule, the linear one stands for all.
    const sampler::Schedule schedule(flow ? "rectified_flow" : is_flow(c) ? "linear" : c.schedule);
    for (const double place : {0.6, 0.3}) {
      const double t = flow ? place : std::floor(place * static_cast<double>(c.num_timesteps - 1));
      const auto level = schedule.level(flow ? t : std::floor(place * (schedule.timesteps() - 1)));
      const double alpha = level.alpha, sigma = level.sigma;
      const auto device = model.device();
      const auto answer = model
                              .forward((alpha * x + sigma * z).to(device),
                                       at::full({images}, t, at::kDouble).to(device), label.to(device))
                              .narrow(1, 0, c.in_channels)
                              .cpu();
      for (auto& objective : objectives) {
        if (objective.flow != flow) continue;
        const auto target = target_of(objective.prediction, x, z, alpha, sigma);
        const double error = ((answer - target).square().mean() / target.square().mean()).item<double>();
        objective.error = std::max(objective.error, std::isfinite(error) ? error : HUGE_VAL);
      }
    }
  }

  const std::string stated_prediction = c.prediction == "noise_and_variance" ? "noise" : c.prediction;
  const auto stated = std::ranges::find_if(objectives, [&](const Objective& objective) {
    return objective.flow == is_flow(c) && objective.prediction == stated_prediction;
  });
  const auto best = std::ranges::min_element(objectives, {}, &Objective::error);
  // Objectives resemble each other, so what counts is which one fits clearly better.
  constexpr double kFits = 0.5, kDoubtful = 0.25, kClearly = 3;
  if (stated == objectives.end() || stated->error < kDoubtful || best->error >= kFits ||
      stated->error < kClearly * best->error)
    return std::nullopt;
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, " (relative error %.2g, against %.2g)", stated->error, best->error);
  return "the model does not answer like " + text_of(*stated) + ", but like " + text_of(*best) + numbers;
}

}  // namespace switchyard::pipeline

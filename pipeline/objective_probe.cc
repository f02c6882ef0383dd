#include "pipeline/objective_probe.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/side_by_side.h"
#include "sampler/schedule.h"

namespace switchyard::pipeline {
namespace {

enum class Path { diffusion, flow, sit };  // sit: a flow whose network runs towards the image

struct Objective {
  Path path;
  std::string_view prediction;
  double error = 0;  // at the worst noise level that was asked for
};

Path path_of(const dit::ModelConfig& c) {
  return c.schedule != "rectified_flow" ? Path::diffusion : c.toward_image ? Path::sit : Path::flow;
}

// What the objective calls the image x in the noise z.
at::Tensor target_of(std::string_view prediction, const at::Tensor& x, const at::Tensor& z, double alpha,
                     double sigma) {
  if (prediction == "noise") return z;
  if (prediction == "clean_image") return x;
  return prediction == "velocity" ? z - x : alpha * z - sigma * x;
}

std::string text_of(const Objective& objective) {
  constexpr std::array kPaths = {"a diffusion schedule", "rectified flow", "SiT"};
  return std::string(kPaths.at(static_cast<size_t>(objective.path))) + " with prediction \"" +
         std::string(objective.prediction) + "\"";
}

// A model and what it is shown, at any noise level of either kind of schedule.
class Probe {
 public:
  explicit Probe(const dit::DiffusionTransformer& model) : model_(model) {
    const auto& c = model.config();
    // The error is a mean over numbers: a small image has too few.
    constexpr int64_t kNumbers = 4096;
    images_ = std::clamp<int64_t>(kNumbers / (c.in_channels * c.input_size * c.input_size), 1, 4);
    const auto generator = at::detail::createCPUGenerator(31);
    z_ = at::randn({images_, c.in_channels, c.input_size, c.input_size}, generator);
    x_ = (at::randn({images_, c.in_channels, 1, 1}, generator).sign() * 0.6).expand_as(z_);
  }

  // At these places from 0 (no noise) to 1: makes errors larger where an objective of this kind fits worse there.
  void ask(Path path, const std::vector<double>& places, std::vector<Objective>& objectives) const {
    const auto& c = model_.config();
    const bool flow = path != Path::diffusion;
    // Where the model states no diffusion schedule, the linear one stands for all.
    const bool states_one = path_of(c) == Path::diffusion;
    const sampler::Schedule schedule(flow ? "rectified_flow" : states_one ? c.schedule : "linear");
    std::vector<sampler::Level> levels;
    std::vector<at::Tensor> noisy, times;
    for (const double place : places) {
      levels.push_back(schedule.level(flow ? place : std::floor(place * (schedule.timesteps() - 1))));
      noisy.push_back(levels.back().alpha * x_ + levels.back().sigma * z_);
      const double told = path == Path::sit ? 1 - place
                          : flow            ? place
                                            : std::floor(place * static_cast<double>(c.num_timesteps - 1));
      times.push_back(at::full({images_}, c.toward_image ? 1 - told : told, at::kDouble));
    }
    const auto answers = answer(at::cat(noisy), at::cat(times)).split(images_);
    for (auto& objective : objectives) {
      for (size_t i = 0; objective.path == path && i < levels.size(); ++i) {
        auto target = target_of(objective.prediction, x_, z_, levels[i].alpha, levels[i].sigma);
        // forward() turns a velocity around where the model is said to run towards the image.
        if (objective.prediction == "velocity" && (path == Path::sit) != c.toward_image) target = -target;
        const double error = ((answers[i] - target).square().mean() / target.square().mean()).item<double>();
        objective.error = std::max(objective.error, std::isfinite(error) ? error : HUGE_VAL);
      }
    }
  }

 private:
  // The cores of a CPU share the rows.
  at::Tensor answer(const at::Tensor& noisy, const at::Tensor& times) const {
    const auto& c = model_.config();
    const int64_t rows = noisy.size(0);
    const auto device = model_.device();
    const auto x = noisy.to(device), t = times.to(device);
    const auto label = at::full({rows}, c.has_null_class ? c.null_class() : 0, at::kLong).to(device);
    const int64_t pieces = device.is_cpu() ? std::min<int64_t>(rows, at::get_num_threads()) : 1;
    std::vector<at::Tensor> answers(pieces);
    kernels::side_by_side(pieces, [&](int64_t piece) {
      const int64_t first = rows * piece / pieces, last = rows * (piece + 1) / pieces;
      answers[piece] =
          model_.forward(x.slice(0, first, last), t.slice(0, first, last), label.slice(0, first, last));
    });
    return at::cat(answers).narrow(1, 0, c.in_channels).cpu();
  }

  const dit::DiffusionTransformer& model_;
  int64_t images_;
  at::Tensor x_, z_;  // [images, C, H, W]: one colour each, and noise
};

}  // namespace

std::optional<std::string> probe_objective(const dit::DiffusionTransformer& model) {
  const at::NoGradGuard no_grad;
  const auto& c = model.config();
  if (c.schedule == "gvp") return std::nullopt;
  std::vector<Objective> objectives = {
      {Path::diffusion, "noise"}, {Path::diffusion, "clean_image"}, {Path::diffusion, "v"}};
  if (!c.integer_timesteps()) {
    objectives.insert(objectives.end(),
                      {{Path::flow, "velocity"}, {Path::flow, "clean_image"}, {Path::sit, "velocity"}});
  }
  const std::string stated_prediction = c.prediction == "noise_and_variance" ? "noise" : c.prediction;
  const auto stated = std::ranges::find_if(objectives, [&](const Objective& objective) {
    return objective.path == path_of(c) && objective.prediction == stated_prediction;
  });
  if (stated == objectives.end()) return std::nullopt;

  // Objectives resemble each other, so what counts is which one fits clearly better. Errors only grow from question to
  // question, so that none is needed once the stated one, or no other one, can come out on top.
  constexpr double kFits = 0.5, kDoubtful = 0.25, kClearly = 3;
  const auto best = [&] { return std::ranges::min_element(objectives, {}, &Objective::error); };
  const auto decided = [&] { return best()->error >= kFits || stated->error < kClearly * best()->error; };
  const Probe probe(model);
  const std::vector<double> places = {0.6, 0.3};
  probe.ask(stated->path, places, objectives);
  if (stated->error < kDoubtful) return std::nullopt;
  for (const double place : places) {
    if (decided()) return std::nullopt;
    if (c.integer_timesteps()) continue;
    for (const auto path : {Path::diffusion, Path::flow, Path::sit})
      if (path != stated->path) probe.ask(path, {place}, objectives);
  }
  if (decided()) return std::nullopt;
  char numbers[96];
  std::snprintf(numbers, sizeof numbers, " (relative error %.2g, against %.2g)", stated->error,
                best()->error);
  return "the model does not answer like " + text_of(*stated) + ", but like " + text_of(*best()) + numbers;
}

}  // namespace switchyard::pipeline

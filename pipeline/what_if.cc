#include "pipeline/what_if.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace switchyard::pipeline {
namespace {

constexpr int64_t kAtATime = 16;

void require_index(const char* what, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return;
  throw std::invalid_argument(c10::str("what if: ", what, " ", index, " is not in 0 .. ", size - 1));
}

// The image over and over, once for each of the experts (-1: as the router has it).
Request variants(const Session& session, const Request& request, const WhatIfQuestion& q,
                 const std::vector<int64_t>& experts) {
  const auto& config = session.config();
  const sampler::Schedule schedule(config.schedule);
  const double time =
      schedule.noise_fraction(steps_of(config, request.settings)[static_cast<size_t>(q.step)].from.t);
  constexpr double kNothing = 1e-9;  // far less than from one step to the next
  auto result = request;
  result.recipe = recipe_of_image(request.recipe, q.image);
  result.images.assign(experts.size(), request.images[static_cast<size_t>(q.image)]);
  result.batch_size = static_cast<int64_t>(experts.size());
  for (size_t i = 0; i < experts.size(); ++i) {
    if (experts[i] < 0) continue;
    RoutingEdit edit{.layers = {q.layer},
                     .t_low = std::max(0.0, time - kNothing),
                     .t_high = std::min(1.0, time + kNothing),
                     .experts = {experts[i]},
                     .action = RoutingEdit::Action::force,
                     .region = std::vector<bool>(static_cast<size_t>(config.tokens()), false),
                     .images = {static_cast<int64_t>(i)}};
    edit.region[static_cast<size_t>(q.patch)] = true;
    result.recipe.push_back(std::move(edit));
  }
  return result;
}

// x_hat, final [C, h, w].
WhatIf::Error error_of(const at::Tensor& x_hat, const at::Tensor& final, int64_t patch, int64_t side) {
  const auto squared = (x_hat - final).square();
  const int64_t size = squared.size(1) / side;
  const auto within = squared.narrow(1, patch / side * size, size).narrow(2, patch % side * size, size);
  return {within.mean().item<double>(), squared.mean().item<double>()};
}

}  // namespace

std::optional<WhatIf> what_if(Session& session, const Request& request, const WhatIfQuestion& q,
                              const at::Tensor& final, const std::function<bool()>& stop,
                              const std::function<void(double)>& progress) {
  const auto& config = session.config();
  if (!config.routes_tokens()) throw std::invalid_argument("what if: the model routes no tokens");
  require_index("image", q.image, static_cast<int64_t>(request.images.size()));
  require_index("step", q.step, static_cast<int64_t>(steps_of(config, request.settings).size()));
  require_index("layer", q.layer, config.depth);
  require_index("patch", q.patch, config.tokens());
  const auto side = static_cast<int64_t>(std::lround(std::sqrt(static_cast<double>(config.tokens()))));
  const int64_t count = 1 + config.experts_of(q.layer);  // the first is as it was
  WhatIf answer;
  for (int64_t first = 0; first < count; first += kAtATime) {
    std::vector<int64_t> experts;
    for (int64_t i = first; i < std::min(count, first + kAtATime); ++i) experts.push_back(i - 1);
    at::Tensor x_hat, weights, probabilities;  // [n, C, h, w], [n, E], [n, E]
    Observer observer;
    observer.stop = stop;
    observer.previews = observer.probabilities = true;
    observer.routing = [&](const StepRouting& routing) {
      if (routing.step != q.step || routing.evaluation > 0 || !routing.conditional) return true;
      const auto of_patch = [&](const at::Tensor& all) { return all[q.layer].select(1, q.patch); };
      weights = of_patch(routing.tokens.gate_weights);
      probabilities = of_patch(routing.tokens.probabilities);
      return true;
    };
    observer.step_done = [&](const StepDone& step) {
      const double part = static_cast<double>(step.step + 1) / static_cast<double>(q.step + 1);
      const auto done = static_cast<double>(first) + part * static_cast<double>(experts.size());
      if (progress) progress(done / static_cast<double>(count));
      if (step.step < q.step) return true;
      x_hat = step.preview;
      return false;  // that is all
    };
    session.draw(variants(session, request, q, experts), observer);
    if (!x_hat.defined()) return std::nullopt;
    for (size_t i = 0; i < experts.size(); ++i) {
      const auto row = static_cast<int64_t>(i), expert = experts[i];
      const auto error = error_of(x_hat[row], final, q.patch, side);
      if (expert < 0) {
        answer.drawn = error;
        for (int64_t e = 0; e + 1 < count; ++e) {
          answer.experts.push_back({.expert = e,
                                    .chosen = weights[row][e].item<float>() != 0,
                                    .probability = probabilities[row][e].item<float>(),
                                    .weight = 0,
                                    .error = {}});
        }
        continue;
      }
      auto& taken = answer.experts[static_cast<size_t>(expert)];
      taken.weight = weights[row][expert].item<float>();
      taken.error = error;
    }
  }
  std::ranges::stable_sort(answer.experts, std::greater(), &WhatIf::Taken::probability);
  return answer;
}

}  // namespace switchyard::pipeline

#include "pipeline/muting.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <limits>
#include <stdexcept>

namespace switchyard::pipeline {

double changed_choices_of_all(const RoutingRecord& a, const RoutingRecord& b) {
  if (a.experts.sizes() != b.experts.sizes()) {
    throw std::invalid_argument(c10::str("changed choices: expected records of one shape, got ",
                                         a.experts.sizes(), " and ", b.experts.sizes()));
  }
  const auto both = a.evaluated.logical_and(b.evaluated);  // [images, steps, 2]
  int64_t all = 0, kept = 0;
  for (int64_t step = 0; step < a.steps(); ++step) {
    const auto mine = a.experts.select(1, step),
               theirs = b.experts.select(1, step);  // [images, layers, 2, T, k]
    const auto counts =
        mine.ne(a.no_expert()).logical_and(both.select(1, step).unsqueeze(1).unsqueeze(-1).unsqueeze(-1));
    const auto found = mine.unsqueeze(-1).eq(theirs.unsqueeze(-2)).any(-1);
    all += counts.sum().item<int64_t>();
    kept += counts.logical_and(found).sum().item<int64_t>();
  }
  if (all == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(all - kept) / static_cast<double>(all);
}

MutingEffect effect_between(const Drawn& a, const Drawn& b) {
  if (a.pixels.size() != b.pixels.size() || a.pixels.empty()) {
    throw std::invalid_argument(
        c10::str("effect: expected as many images, got ", a.pixels.size(), " and ", b.pixels.size()));
  }
  double sum = 0, count = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) {
    if (a.pixels[i].sizes() != b.pixels[i].sizes()) {
      throw std::invalid_argument(c10::str("effect: expected images of one size, got ", a.pixels[i].sizes(),
                                           " and ", b.pixels[i].sizes()));
    }
    sum += (a.pixels[i].to(at::kInt) - b.pixels[i].to(at::kInt)).abs().sum().item<double>();
    count += static_cast<double>(a.pixels[i].numel());
  }
  const bool known = a.routing && b.routing;
  return {sum / count,
          known ? changed_choices_of_all(*a.routing, *b.routing) : std::numeric_limits<double>::quiet_NaN()};
}

std::optional<MutingEffect> effect_of_muting(Session& session, const Request& request, const Drawn& before,
                                             Router router, int64_t layer, int64_t expert,
                                             const std::function<bool()>& stop,
                                             const std::function<void(double)>& progress) {
  auto muted = request;
  RoutingEdit edit{.router = router, .experts = {expert}};
  if (layer >= 0) edit.layers = {layer};
  muted.recipe.push_back(std::move(edit));
  Drawn after{.pixels = std::vector<at::Tensor>(request.images.size())};
  Observer observer;
  observer.stop = stop;
  if (before.routing)
    observer.routing = after.routing.emplace(session.config(), muted, before.routing->router()).recorder();
  observer.image_finished = [&](const ImageFinished& image) {
    after.pixels[static_cast<size_t>(image.image)] = image.pixels;
    return true;
  };
  observer.step_done = [&](const StepDone& step) {
    if (progress) progress(step.done);
    return true;
  };
  if (!session.draw(muted, observer)) return std::nullopt;
  return effect_between(before, after);
}

}  // namespace switchyard::pipeline

#include "app/gui/studio/selection.h"

#include <algorithm>

namespace switchyard::studio {

pipeline::Span Selection::span(bool all_images) const {
  pipeline::Span span{.half = half};
  if (!all_images) span.images = {image};
  if (!whole_range) span.first_step = span.last_step = step;
  return span;
}

const pipeline::RoutingRecord* Selection::clamp(const Run& of) {
  const auto within = [](int64_t& index, int64_t size) {
    index = std::clamp<int64_t>(index, 0, std::max<int64_t>(size - 1, 0));
  };
  within(image, static_cast<int64_t>(of.images.size()));
  if (follow && !of.images.empty()) step = of.images[static_cast<size_t>(image)].steps_done - 1;
  within(step, of.steps());
  within(layer, of.config.depth);
  if (!of.config.routes_tokens() && of.config.routes_timesteps()) router = pipeline::Router::timesteps;
  if (!of.config.routes_timesteps()) router = pipeline::Router::tokens;
  const bool tokens = router == pipeline::Router::tokens;
  const int64_t experts = !tokens                     ? of.config.timestep_experts
                          : of.config.routes_tokens() ? of.config.experts_of(layer)
                                                      : 0;
  if (expert && *expert >= experts) expert.reset();
  if (patch && *patch >= (tokens ? of.config.tokens() : 1)) patch.reset();
  return of.record(router);
}

}  // namespace switchyard::studio

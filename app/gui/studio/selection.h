// What all panels look at: one selection, so that they show the same thing.
#pragma once

#include <cstdint>
#include <optional>

#include "app/gui/studio/run.h"
#include "pipeline/routing_views.h"

namespace switchyard::studio {

struct Selection {
  int64_t run = -1;    // its id; -1: none
  int64_t other = -1;  // the run compared with it (B); -1: none
  int64_t image = 0, step = 0, layer = 0;
  bool follow = true;  // the step is the newest one while it draws
  pipeline::Router router = pipeline::Router::tokens;
  pipeline::Half half = pipeline::Half::conditional;
  std::optional<int64_t> expert = {};  // none: the winner
  std::optional<int64_t> patch = {};   // pinned
  pipeline::Measure measure = pipeline::Measure::tokens;
  pipeline::Normalisation normalisation = pipeline::Normalisation::none;
  bool whole_range = false;  // atlas and flow over all steps, not just this one
  double opacity = 0.6;      // of the patch map over the image

  pipeline::Place place() const { return {image, step, layer, half}; }
  pipeline::Span span(bool all_images = false) const;

  /// Into what the run has: every index within its range, the step the newest where it follows, a router that the
  /// model has. The record that it speaks of, or null where there is none.
  const pipeline::RoutingRecord* clamp(const Run& run);

  bool operator==(const Selection&) const = default;
};

}  // namespace switchyard::studio

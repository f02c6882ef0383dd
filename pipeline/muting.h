// What an expert is worth to an image: the same image drawn without it, against the image with it.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "pipeline/routing_record.h"
#include "pipeline/session.h"

namespace switchyard::pipeline {

/// How far two drawings of the same images are apart.
struct MutingEffect {
  double pixels = 0;  // mean absolute difference, 0 .. 255
  double choices =
      0;  // share of all choices, at every step and layer, that are others now: 0 .. 1; NaN where routing
          // is not known

  bool operator==(const MutingEffect&) const = default;
};

/// The images of a request as they were drawn: [H, W, C] uint8 each; and the choices of one of the model's routers.
struct Drawn {
  std::vector<at::Tensor> pixels;
  std::optional<RoutingRecord> routing = {};
};

/// The share of the choices in `a` that were not made in `b`, where both were evaluated; NaN where there are none.
/// Throws std::invalid_argument for records of other shapes.
double changed_choices_of_all(const RoutingRecord& a, const RoutingRecord& b);

/// Of `b` against `a`. Throws std::invalid_argument for other images.
MutingEffect effect_between(const Drawn& a, const Drawn& b);

/// Draws the request with the expert of the layer (-1: of all layers) muted as well, and compares that with `before`,
/// which is the request as it was drawn. Nothing: `stop` said so. `progress` is told the share of the work that is
/// done, 0 .. 1. Throws as Session::draw(), and so where the layer would have no expert left.
std::optional<MutingEffect> effect_of_muting(Session& session, const Request& request, const Drawn& before,
                                             Router router, int64_t layer, int64_t expert,
                                             const std::function<bool()>& stop = {},
                                             const std::function<void(double)>& progress = {});

}  // namespace switchyard::pipeline

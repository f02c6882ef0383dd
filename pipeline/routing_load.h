// How often each expert is chosen in each layer, over any number of images: a sum, not a record.
#pragma once

#include <ATen/core/Tensor.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "pipeline/events.h"

namespace switchyard::pipeline {

class RoutingLoad {
 public:
  void add(const StepRouting& routing);

  /// [layers, E] fp64: of the choices in a layer, both halves of guidance, the part that fell on each expert; rows sum
  /// to 1, or are 0 where the layer has no such router. Undefined where nothing was added.
  at::Tensor shares(Router router) const;

  /// {"tokens": [[share per expert] per layer], "timesteps": ...}, each where the model has such a router.
  nlohmann::ordered_json json() const;

  /// A line per layer: "layer 3, tokens: 12.1 % 13.4 % ...".
  std::string text() const;

 private:
  at::Tensor tokens_, timesteps_;  // [layers, E] fp64, counts
};

}  // namespace switchyard::pipeline

// What if another expert had taken a patch: for one patch, at one step, in one layer, the error of that step with each
// expert in turn, by routing control, beside what the router thought of it.
//
// The image is drawn again, to that step, once as it was and once for every expert, which is forced on that patch there
// and takes the place of its last choice. The error is that of the clean image that the step predicts, to the image
// that came out at the end.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "pipeline/session.h"

namespace switchyard::pipeline {

struct WhatIfQuestion {
  int64_t image = 0, step = 0, layer = 0, patch = 0;

  bool operator==(const WhatIfQuestion&) const = default;
};

struct WhatIf {
  struct Error {
    double patch = 0,
           image = 0;  // mean squared, of numbers in about [-1, 1]: within the patch, and of all of it
  };
  struct Taken {
    int64_t expert = 0;
    bool chosen = false;     // by the router itself
    double probability = 0;  // what the router thought of it
    double weight = 0;       // its gate weight when it is forced
    Error error;
  };
  Error drawn;                 // as the router had it
  std::vector<Taken> experts;  // of the layer, in the router's own order: the greatest probability first
};

/// `request` as the image was drawn, with its recipe; `final` [C, h, w] fp32: the clean image as the last step
/// predicted it, StepDone::preview. Nothing: `stop` said so. Throws std::invalid_argument for a question outside the
/// request, a model that routes no tokens, and as Session::draw().
std::optional<WhatIf> what_if(Session& session, const Request& request, const WhatIfQuestion& question,
                              const at::Tensor& final, const std::function<bool()>& stop = {},
                              const std::function<void(double)>& progress = {});

}  // namespace switchyard::pipeline

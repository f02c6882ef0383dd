// What a forward is told about routing, as tensors: the input of the routers besides the tokens.
//
// Muting, forcing and scaling experts, fewer experts per token (autoguidance), loss-free balancing and a compute
// dial are one mechanism: a bias on the selection, a scale on the gate weights (kernels/routing/routing.h), and
// k. Preallocated on the model's device; a recorded CUDA graph reads them at fixed addresses.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/routing/routing.h"

namespace switchyard::dit {

struct RoutingControl {
  /// Of one kind of router, for all blocks: [depth, N or 1, T or 1, E] fp32 (T is 1 for timesteps; E the most
  /// experts of any block, a block with fewer looks at its own first ones). Both may be undefined.
  struct Of {
    at::Tensor bias, scale;

    bool defined() const { return bias.defined() || scale.defined(); }
  };
  Of tokens, timesteps;

  /// Experts per token (expert choice: on average); 0: as the configuration has it.
  int64_t experts_per_token = 0;

  bool defined() const { return tokens.defined() || timesteps.defined() || experts_per_token != 0; }

  /// Of the images first .. first + count - 1; views.
  RoutingControl narrow(int64_t first, int64_t count) const;
};

/// What a block with `experts` experts is told.
kernels::Selection selection_of(const RoutingControl::Of& control, int64_t layer, int64_t experts);

}  // namespace switchyard::dit

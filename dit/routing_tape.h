// What the routers of a forward did, as tensors: one form for every router.
//
// Preallocated on the model's device by whoever wants to read it, written by every block, read once per step.
// What is undefined is not written and costs nothing.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dit/config.h"
#include "kernels/routing/routing.h"

namespace switchyard::dit {

struct RoutingTape {
  /// Of one kind of router: [depth, N, T, E] fp32 (T is 1 for timesteps; E the most experts of any block, what a
  /// block with fewer has no use for is left alone).
  struct Of {
    at::Tensor gate_weights = {};   // the weight of each expert, scale included; 0 where it was not chosen
    at::Tensor probabilities = {};  // what the router thought, before bias and scale

    /// Where given, every block adds its routing, with gradients: what losses are made of.
    std::vector<kernels::Routing>* kept = nullptr;

    bool defined() const { return gate_weights.defined() || probabilities.defined() || kept != nullptr; }
  };
  Of tokens = {}, timesteps = {};

  /// One for `images` images on `device`, zeroed, for the routers that the model has.
  static RoutingTape allocate(const ModelConfig& config, int64_t images, bool with_probabilities,
                              at::Device device);

  bool defined() const { return tokens.defined() || timesteps.defined(); }

  /// Of the images first .. first + count - 1; views, without `kept`.
  RoutingTape narrow(int64_t first, int64_t count) const;
};

/// A block writes down what it did.
void write(const RoutingTape::Of& tape, int64_t layer, const kernels::Routing& routing);

}  // namespace switchyard::dit

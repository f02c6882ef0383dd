// The gate of a model that routes timesteps (Switch-DiT): what it thinks of every expert at every timestep. It looks at
// no image, so that this is all there is to know of it.
#pragma once

#include <ATen/core/Tensor.h>

#include "dit/transformer.h"

namespace switchyard::pipeline {

struct TimestepGate {
  at::Tensor
      probabilities;   // [layers, timesteps, E] fp32, from timestep 0 (image) on; sum to 1 over the experts
  at::Tensor experts;  // [layers, timesteps, k] int64: chosen, the strongest first
  at::Tensor
      windows;  // [layers, E, 2] int64: the first and the last timestep at which the diffusion prior of
                // training wants the expert, -1 where it never does
};

/// On the CPU. Throws std::invalid_argument for a model that routes no timesteps.
TimestepGate timestep_gate(const dit::DiffusionTransformer& model);

}  // namespace switchyard::pipeline

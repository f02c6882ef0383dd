// What drawing needs, known before anything is drawn.
#pragma once

#include <ATen/core/ScalarType.h>

#include <cstdint>

#include "dit/config.h"
#include "pipeline/request.h"

namespace switchyard::pipeline {

/// Bytes that the activations of one evaluation of `images` images take at the least, computed in `dtype`: what the widest
/// moment of a block keeps, and, where somebody watches, what the routers wrote in all blocks.
int64_t bytes_of_drawing(const dit::ModelConfig& config, const Settings& settings, int64_t images, at::ScalarType dtype,
                         bool watched);

}  // namespace switchyard::pipeline

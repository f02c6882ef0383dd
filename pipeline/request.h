// What to draw.
#pragma once

#include <cstdint>
#include <vector>

#include "pipeline/recipe.h"
#include "pipeline/settings.h"

namespace switchyard::pipeline {

/// One image to draw.
struct Image {
  int64_t label = 0;  // 0 .. num_classes - 1, or num_classes for no class, where the model has that
  uint64_t seed = 0;
};

struct Request {
  std::vector<Image> images = {};
  Settings settings = {};
  RoutingRecipe recipe = {};
  /// Images drawn at a time: speed and memory, never pixels. Besides the activations, up to 256 MiB on the CPU
  /// hold what the model makes of every time and class of a batch.
  int64_t batch_size = 16;
  int64_t decode_memory =
      int64_t{2} << 30;  // bytes above which a latent is decoded in bands: memory, never seams
};

}  // namespace switchyard::pipeline

// What each expert is worth: the set of images that the model draws without it, measured like the set that it draws.
#pragma once

#include <string>
#include <vector>

#include "dit/config.h"
#include "pipeline/recipe.h"

namespace switchyard::evaluation {

/// One row of the table: a recipe, and how people read it.
struct Ablation {
  std::string label;               // "layer 3, expert 5 muted"
  pipeline::RoutingRecipe recipe;  // `usual` and one edit more
};

/// "as it is" first; then each expert of each of `layers` muted (of tokens' routers, or where there are none of the
/// timesteps'); layers empty: each expert muted in all layers at once. Throws std::invalid_argument for a model that does
/// not route, or layers that it has not.
std::vector<Ablation> ablations(const dit::ModelConfig& config, const std::vector<int64_t>& layers,
                                const pipeline::RoutingRecipe& usual = {});

}  // namespace switchyard::evaluation

// The list of routing edits that a person switches on and off; those that are on are the recipe of the next run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dit/config.h"
#include "pipeline/recipe.h"

namespace switchyard::studio {

struct Edit {
  pipeline::RoutingEdit edit;
  bool on = true;
  std::string name = {};  // empty: sentence_of(edit)

  bool operator==(const Edit&) const = default;
};

struct Edits {
  std::vector<Edit> list;

  /// Of those that are on.
  pipeline::RoutingRecipe recipe() const;

  /// A recipe as a list, all on.
  static Edits of(const pipeline::RoutingRecipe& recipe);

  bool operator==(const Edits&) const = default;
};

/// Of one expert; layer -1: in all. Narrow them down by the fields of RoutingEdit.
pipeline::RoutingEdit mute(pipeline::Router router, int64_t layer, int64_t expert);
pipeline::RoutingEdit force(pipeline::Router router, int64_t layer, int64_t expert);
pipeline::RoutingEdit scale(pipeline::Router router, int64_t layer, int64_t expert, double factor);

/// "mute expert 3 in layer 4", "scale experts 1, 2 by 0.5 in all layers, t 0.5 to 1, with the class, in 12 patches".
std::string sentence_of(const pipeline::RoutingEdit& edit);

/// The edits that are on, as the JSON that `switchyard sample --edit` takes; and any such file, all on. Throw
/// io::OutputError and io::InputError.
void save_edits(const std::filesystem::path& file, const Edits& edits, const dit::ModelConfig& config);
Edits load_edits(const std::filesystem::path& file, const dit::ModelConfig& config);

}  // namespace switchyard::studio

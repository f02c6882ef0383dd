// What the Generate panel edits: what to draw, and how.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/gui/studio/edits.h"
#include "app/gui/studio/worker.h"
#include "pipeline/metadata.h"
#include "pipeline/request.h"
#include "pipeline/settings.h"

namespace switchyard::studio {

struct Form {
  int64_t label = 0;       // num_classes: no class
  bool fresh_seed = true;  // draw() takes another seed each time
  uint64_t seed = 0;       // of the first image; the next one has seed + 1
  int64_t count = 1;
  int64_t batch = 4;  // images at a time: speed and memory, never pixels
  pipeline::Settings settings = {};

  /// For a model, with the settings that it draws best with.
  static Form of(const OpenedModel& model);

  /// Settings without meaning for the model are left out. Throws std::invalid_argument where it cannot be drawn: a
  /// number out of range, a class that the model does not have.
  pipeline::Request request(const dit::ModelConfig& config, const pipeline::RoutingRecipe& recipe) const;

  bool operator==(const Form&) const = default;
};

/// A line of "what would change": "steps", "40", "25".
struct Change {
  std::string field, from, to;
  bool warning = false;  // not something that the form can set: another model, say; the pixels will differ

  bool operator==(const Change&) const = default;
};

/// What a PNG of ours asks for, ready to be applied.
struct Restored {
  std::string source;  // the file
  Form form;
  Edits edits;
  std::vector<Change> changes;  // against the form and edits that it was made with; empty: nothing
};

/// Throws io::InputError for a file that is no PNG of ours, and one that the open model cannot draw: no such class, or
/// a recipe for layers or experts that it does not have.
Restored restored_from(const std::filesystem::path& png, const OpenedModel& model, const Form& form,
                       const Edits& edits);

}  // namespace switchyard::studio

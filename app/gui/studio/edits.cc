#include "app/gui/studio/edits.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "io/atomic_file.h"
#include "pipeline/settings_text.h"

namespace switchyard::studio {
namespace {

using pipeline::RoutingEdit;

RoutingEdit edit_of(pipeline::Router router, int64_t layer, int64_t expert, RoutingEdit::Action action,
                    double factor) {
  RoutingEdit edit{.router = router, .experts = {expert}, .action = action, .factor = factor};
  if (layer >= 0) edit.layers = {layer};
  return edit;
}

// "expert 3", "experts 1, 2".
std::string counted(const std::string& noun, const std::vector<int64_t>& numbers) {
  std::string text = noun + (numbers.size() == 1 ? " " : "s ");
  for (size_t i = 0; i < numbers.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(numbers[i]);
  return text;
}

}  // namespace

pipeline::RoutingRecipe Edits::recipe() const {
  pipeline::RoutingRecipe recipe;
  for (const auto& edit : list)
    if (edit.on) recipe.push_back(edit.edit);
  return recipe;
}

Edits Edits::of(const pipeline::RoutingRecipe& recipe) {
  Edits edits;
  for (const auto& edit : recipe) edits.list.push_back({.edit = edit});
  return edits;
}

RoutingEdit mute(pipeline::Router router, int64_t layer, int64_t expert) {
  return edit_of(router, layer, expert, RoutingEdit::Action::mute, 1);
}
RoutingEdit force(pipeline::Router router, int64_t layer, int64_t expert) {
  return edit_of(router, layer, expert, RoutingEdit::Action::force, 1);
}
RoutingEdit scale(pipeline::Router router, int64_t layer, int64_t expert, double factor) {
  return edit_of(router, layer, expert, RoutingEdit::Action::scale, factor);
}

std::string sentence_of(const RoutingEdit& edit) {
  constexpr const char* kActions[] = {"mute", "scale", "force"};
  std::string text = std::string(kActions[static_cast<size_t>(edit.action)]) + " ";
  if (edit.router == pipeline::Router::timesteps) text += "timestep ";
  text += counted("expert", edit.experts);
  if (edit.action == RoutingEdit::Action::scale) text += " by " + pipeline::text_of(edit.factor);
  text += edit.layers.empty() ? " in all layers" : " in " + counted("layer", edit.layers);
  if (edit.t_low > 0 || edit.t_high < 1)
    text += ", t " + pipeline::text_of(edit.t_low) + " to " + pipeline::text_of(edit.t_high);
  if (edit.half != RoutingEdit::Half::both)
    text += edit.half == RoutingEdit::Half::conditional ? ", with the class" : ", without the class";
  if (!edit.region.empty()) {
    const auto patches = std::ranges::count(edit.region, true);
    text += ", in " + std::to_string(patches) + (patches == 1 ? " patch" : " patches");
  }
  if (!edit.images.empty()) text += ", of " + counted("image", edit.images);
  return text;
}

void save_edits(const std::filesystem::path& file, const Edits& edits, const dit::ModelConfig& config) {
  io::write_file(file, pipeline::to_json(edits.recipe(), config).dump(2) + "\n");
}

Edits load_edits(const std::filesystem::path& file, const dit::ModelConfig& config) {
  return Edits::of(pipeline::read_recipe(file, config));
}

}  // namespace switchyard::studio

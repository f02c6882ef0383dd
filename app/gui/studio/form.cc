#include "app/gui/studio/form.h"

#include <c10/util/StringUtil.h>

#include <map>
#include <stdexcept>

#include "io/error.h"
#include "io/png.h"
#include "pipeline/settings_text.h"
#include "sampler/noise.h"

namespace switchyard::studio {
namespace {

constexpr int64_t kMostImages = 10'000;

std::string class_text(const dit::ModelConfig& config, int64_t label) {
  const auto index = static_cast<size_t>(label);
  return index < config.class_names.size() ? config.class_names[index] : std::to_string(label);
}

std::string sentences_of(const Edits& edits) {
  std::string text;
  for (const auto& edit : edits.recipe()) text += (text.empty() ? "" : "; ") + sentence_of(edit);
  return text.empty() ? "none" : text;
}

// The fields with meaning before or after, as people read them.
void compare_settings(const dit::ModelConfig& config, const pipeline::Settings& from,
                      const pipeline::Settings& to, std::vector<Change>& changes) {
  const auto values_of = [&](const pipeline::Settings& settings) {
    std::map<std::string, std::string> values;
    for (const auto& text : pipeline::texts_of(config, settings)) values[text.field.option] = text.value;
    return values;
  };
  auto before = values_of(from), after = values_of(to);
  const pipeline::Settings any;
  std::string done;
  pipeline::for_each_field(
      [&](const pipeline::Field& field, const auto&) {
        if (field.option == done) return;
        done = field.option;
        const auto value_in = [&](auto& values) {
          return values.contains(done) ? values[done] : "without meaning";
        };
        if (value_in(before) != value_in(after))
          changes.push_back({pipeline::words_of(field.option), value_in(before), value_in(after)});
      },
      any);
}

}  // namespace

Form Form::of(const OpenedModel& model) { return {.settings = model.settings}; }

pipeline::Request Form::request(const dit::ModelConfig& config, const pipeline::RoutingRecipe& recipe) const {
  const auto require = [](bool holds, const std::string& what) {
    if (!holds) throw std::invalid_argument(what);
  };
  require(label >= 0 && label < config.labels(), c10::str("the model has no class ", label));
  require(count >= 1 && count <= kMostImages, c10::str("count is ", count, ", expected 1 .. ", kMostImages));
  require(batch >= 1, c10::str("images at a time is ", batch, ", expected 1 or more"));
  require(seed <= sampler::kMaxSeed && static_cast<uint64_t>(count - 1) <= sampler::kMaxSeed - seed,
          c10::str("seeds are at most ", sampler::kMaxSeed));
  pipeline::Request request{.settings = settings, .recipe = recipe, .batch_size = batch};
  pipeline::drop_idle(config, request.settings);
  pipeline::validate(config, request.settings);
  for (int64_t i = 0; i < count; ++i) request.images.push_back({label, seed + static_cast<uint64_t>(i)});
  return request;
}

Restored restored_from(const std::filesystem::path& png, const OpenedModel& model, const Form& form,
                       const Edits& edits) {
  const auto source = png.string();
  const auto stored = pipeline::read_image_text(io::read_png(png).text, source);
  const auto& config = model.config;
  if (stored.image.label >= config.labels()) {
    throw io::InputError(c10::str(source, ": its class ", stored.image.label, " is not one of the model's ",
                                  config.num_classes, "; it was drawn by ", stored.model.model_name));
  }
  Restored restored{.source = source, .form = form, .edits = {}, .changes = {}};
  restored.form.label = stored.image.label;
  restored.form.fresh_seed = false;
  restored.form.seed = stored.image.seed;
  restored.form.count = 1;
  restored.form.settings = stored.settings;
  pipeline::drop_idle(config, restored.form.settings);
  try {
    pipeline::validate(config, restored.form.settings);
  } catch (const std::invalid_argument& error) {
    throw io::InputError(source + ": the model that is open cannot draw it: " + error.what());
  }
  if (!stored.recipe.empty())
    restored.edits = Edits::of(pipeline::recipe_from_json(stored.recipe, config, source));

  auto& changes = restored.changes;
  const auto compare = [&](const char* field, const std::string& from, const std::string& to,
                           bool warning = false) {
    if (from != to) changes.push_back({field, from, to, warning});
  };
  for (const auto& [what, then, now] : pipeline::differences(stored.model, model.provenance))
    changes.push_back({what, now, then, true});
  compare("numbers", model.provenance.dtype, stored.model.dtype, true);
  compare("class", class_text(config, form.label), class_text(config, stored.image.label));
  compare("seed", form.fresh_seed ? "fresh" : std::to_string(form.seed), std::to_string(stored.image.seed));
  compare("count", std::to_string(form.count), "1");
  auto from = form.settings;
  pipeline::drop_idle(config, from);
  compare_settings(config, from, restored.form.settings, changes);
  compare("edits", sentences_of(edits), sentences_of(restored.edits));
  return restored;
}

}  // namespace switchyard::studio

#include "pipeline/metadata.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <set>
#include <stdexcept>

#include "io/error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/sha256.h"
#include "io/text.h"
#include "pipeline/settings_text.h"
#include "sampler/noise.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKeyword = "switchyard";
constexpr int64_t kMost = 1'000'000;  // of experts, heads, pixels
constexpr int kVersion = 3;

std::string class_name(const dit::ModelConfig& config, int64_t label) {
  if (label < 0 || label >= config.labels()) {
    throw std::invalid_argument(c10::str("class ", label, " is not in 0 .. ", config.labels() - 1));
  }
  return label == config.num_classes || config.class_names.empty() ? "" : config.class_names[label];
}

// JSON is UTF-8, a file's name need not be.
std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// That layout separates its fields by ", " and quotes, as JSON does, what would be torn apart.
std::string quoted_if_needed(const std::string& text) {
  const auto quoted = dump(text);
  return text.find_first_of(",:\n\"") == std::string::npos ? quoted.substr(1, quoted.size() - 2) : quoted;
}

std::string capitalised(std::string text) {
  if (!text.empty() && 'a' <= text[0] && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

std::string parameters(const Provenance& model, const dit::ModelConfig& config, const Settings& settings,
                       const Image& image, const std::string& name) {
  const int64_t side = model.image_size > 0 ? model.image_size : config.input_size;
  const auto prompt = !name.empty()                       ? name
                      : image.label == config.num_classes ? "no class"
                                                          : c10::str("class ", image.label);
  auto text = c10::str(prompt, "\nSteps: ", steps_of(config, settings).size(),
                       ", Sampler: ", capitalised(text_of(settings.solver.solver)),
                       ", CFG scale: ", text_of(settings.guidance.scale), ", Seed: ", image.seed,
                       ", Size: ", side, "x", side, ", Model hash: ", quoted_if_needed(model.model_hash),
                       ", Model: ", quoted_if_needed(model.model_name));
  constexpr std::array<std::string_view, 3> kSaid = {"solver", "steps", "guidance.scale"};
  for (const auto& [field, value, usual] : texts_of(config, settings)) {
    if (usual || std::ranges::find(kSaid, field.name) != kSaid.end()) continue;
    text += c10::str(", ", field.label != nullptr ? field.label : capitalised(words_of(field.option)), ": ",
                     quoted_if_needed(value));
  }
  return text + ", Version: Switchyard " SWITCHYARD_VERSION;
}

// Reads typed fields of one JSON object and says which one is wrong, as "model.hash".
class Fields {
 public:
  Fields(const Json& json, std::string path, const std::string& source)
      : json_(json), path_(std::move(path)), source_(source) {
    if (!json.is_object()) fail(path_.empty() ? "expected a JSON object" : path_ + " must be an object");
  }

  int64_t integer(const char* name, int64_t least, int64_t most) const {
    const auto& value = get(name);
    const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                                 : value.is_number_integer();
    if (!fits || value.get<int64_t>() < least || value.get<int64_t>() > most) {
      wrong(name, c10::str("an integer in ", least, " .. ", most));
    }
    return value.get<int64_t>();
  }
  std::string text(const char* name) const {
    const auto& value = get(name);
    if (!value.is_string()) wrong(name, "a text");
    return value.get<std::string>();
  }
  Fields object(const char* name) const { return {get(name), full(name), source_}; }
  bool has(const char* name) const { return json_.contains(name); }

  const Json& get(const char* name) const {
    const auto found = json_.find(name);
    if (found == json_.end()) fail(c10::str("field \"", full(name), "\" is missing"));
    read_.insert(name);
    return *found;
  }

  // After the last one.
  void require_nothing_else() const {
    for (const auto& [name, value] : json_.items())
      if (!read_.contains(name)) fail("unknown field " + io::quote(full(name.c_str())));
  }

  [[noreturn]] void wrong(const char* name, const std::string& expected) const {
    fail(c10::str("field \"", full(name), "\" must be ", expected, ", got ",
                  json_.at(name).dump().substr(0, 80)));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw io::InputError(c10::str(source_, ": text entry \"", kKeyword, "\": ", what));
  }

 private:
  std::string full(const char* name) const { return path_.empty() ? name : path_ + "." + name; }

  const Json& json_;
  std::string path_;
  const std::string& source_;
  mutable std::set<std::string> read_ = {};
};

// Which settings a version has in any case.
bool is_required(int64_t version, const Field& field) {
  constexpr std::array<std::string_view, 6> kFirst = {"solver",         "steps",          "shift",
                                                      "guidance.scale", "guidance.t_low", "guidance.t_high"};
  const std::string_view name = field.name;
  if (name == "quantization" || name.starts_with("diffusion.")) return false;  // younger than version 2
  return version == 1   ? std::ranges::find(kFirst, field.name) != kFirst.end()
         : version == 2 ? true
                        : field.idle == nullptr;
}

}  // namespace

nlohmann::ordered_json origin_json(const Provenance& model) {
  Json json = {
      {"model",
       {{"name", model.model_name},
        {"hash", model.model_hash},
        {"weights", model.weights},
        {"objective", model.objective},
        {"experts_per_token", model.experts_per_token},
        {"num_heads", model.num_heads}}},
      {"decoder", model.decoder_name.empty()
                      ? Json(nullptr)
                      : Json{{"name", model.decoder_name}, {"hash", model.decoder_hash}}},
      {"image_size", model.image_size},
      {"dtype", model.dtype},
  };
  if (!model.library.empty()) json["model"]["products"] = model.library;
  return json;
}

io::TextEntries image_text(const Provenance& model, const dit::ModelConfig& config, const Settings& settings,
                           const Image& image, const RoutingRecipe& recipe) {
  const auto name = class_name(config, image.label);
  auto kept = settings;
  drop_idle(config, kept);
  Json json = {{"version", kVersion}};
  json.update(origin_json(model));
  json.update({{"class", image.label},
               {"class_name", name},
               {"seed", image.seed},
               {"settings", settings_json(config, kept)}});
  if (!recipe.empty()) json["recipe"] = to_json(recipe, config);
  return {{"parameters", parameters(model, config, kept, image, name)}, {kKeyword, dump(json)}};
}

StoredImage read_image_text(const io::TextEntries& text, const std::string& source) {
  const auto entry =
      std::find_if(text.begin(), text.end(), [](const auto& e) { return e.first == kKeyword; });
  if (entry == text.end()) {
    throw io::InputError(source + ": not drawn by Switchyard (no text entry \"" + kKeyword + "\")");
  }
  const Json json = io::parse_json(entry->second, c10::str(source, ": text entry \"", kKeyword, "\""));
  const Fields fields(json, "", source);
  const auto version = fields.integer("version", 0, INT64_MAX);
  if (version < 1 || version > kVersion) {
    fields.fail(c10::str("expected version 1 .. ", kVersion, ", got version ", version));
  }
  const auto model = fields.object("model");
  StoredImage stored{.model = {model.text("name"), model.text("hash"), fields.text("dtype")},
                     .image = {.label = fields.integer("class", 0, INT64_MAX),
                               .seed = static_cast<uint64_t>(
                                   fields.integer("seed", 0, static_cast<int64_t>(sampler::kMaxSeed)))},
                     .class_name = fields.text("class_name")};
  try {
    const auto required = [&](const Field& field) { return is_required(version, field); };
    read_settings(fields.get("settings"), stored.settings, "settings.", required);
    sampler::validate(stored.settings.guidance);
    sampler::validate(stored.settings.solver.churn);
  } catch (const std::invalid_argument& error) {
    fields.fail(error.what());
  }
  if (version >= 2) {
    stored.model.weights = model.text("weights");
    stored.model.objective = model.text("objective");
    stored.model.experts_per_token = model.integer("experts_per_token", 0, kMost);
    stored.model.num_heads = model.integer("num_heads", 0, kMost);
    stored.model.image_size = fields.integer("image_size", 0, kMost);
    if (fields.has("decoder") && !fields.get("decoder").is_null()) {
      const auto decoder = fields.object("decoder");
      stored.model.decoder_name = decoder.text("name");
      stored.model.decoder_hash = decoder.text("hash");
      decoder.require_nothing_else();
    }
  }
  if (version >= 3) {
    if (model.has("products")) stored.model.library = model.text("products");
    if (fields.has("recipe")) stored.recipe = fields.get("recipe");
    if (fields.has("recipe") && !stored.recipe.is_array()) fields.wrong("recipe", "a list");
  }
  if (stored.model.dtype != "float32" && stored.model.dtype != "bfloat16" && stored.model.dtype != "int8") {
    fields.wrong("dtype", "\"float32\", \"bfloat16\" or \"int8\"");
  }
  model.require_nothing_else();
  fields.require_nothing_else();
  return stored;
}

std::vector<Difference> differences(const Provenance& then, const Provenance& now) {
  std::vector<Difference> found;
  const auto compare = [&](const char* what, const auto& a, const auto& b) {
    if (a != b) found.push_back({what, c10::str(a), c10::str(b)});
  };
  const auto named = [](const std::string& name, const std::string& hash) {
    return hash.empty() ? name : name + " (" + hash + ")";
  };
  const bool known = !then.model_hash.empty() && !now.model_hash.empty();
  if (known ? then.model_hash != now.model_hash : then.model_name != now.model_name)
    compare("model", named(then.model_name, then.model_hash), named(now.model_name, now.model_hash));
  if (then.objective.empty()) return found;
  compare("weights", then.weights, now.weights);
  compare("objective", then.objective, now.objective);
  compare("experts per token", then.experts_per_token, now.experts_per_token);
  compare("attention heads", then.num_heads, now.num_heads);
  if (!then.library.empty() && !now.library.empty()) compare("product library", then.library, now.library);
  if (then.decoder_hash != now.decoder_hash && !now.decoder_hash.empty())
    found.push_back({"decoder", then.decoder_name, now.decoder_name});
  return found;
}

std::string model_hash(const std::filesystem::path& file, const std::stop_token& stop) {
  return model_hash(io::MappedFile(file).bytes(), stop);
}

std::string model_hash(std::span<const std::byte> file, const std::stop_token& stop) {
  return io::sha256(file, stop).value_or("").substr(0, 10);
}

}  // namespace switchyard::pipeline

#include "pipeline/metadata.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "io/error.h"
#include "io/json.h"
#include "io/mapped_file.h"
#include "io/sha256.h"
#include "sampler/noise.h"

namespace switchyard::pipeline {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kKeyword = "switchyard";
constexpr int kVersion = 1;

std::string class_name(const dit::ModelConfig& config, int64_t label) {
  if (label < 0 || label > config.num_classes) {
    throw std::invalid_argument(c10::str("class ", label, " is not in 0 .. ", config.num_classes));
  }
  return label == config.num_classes || config.class_names.empty() ? "" : config.class_names[label];
}

// The shortest digits that read back as the same number: 2, 1.5, 0.1.
std::string shortest(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, std::end(digits), value).ptr};
}

// That layout separates its fields by ", " and quotes, as JSON does, what would be torn apart.
std::string quoted_if_needed(const std::string& text) {
  return text.find_first_of(",:\n\"") == std::string::npos ? text : Json(text).dump();
}

std::string parameters(const Provenance& model, const dit::ModelConfig& config, const Settings& settings,
                       const Image& image, const std::string& name) {
  auto solver = std::string(sampler::to_string(settings.solver));
  solver[0] = static_cast<char>(solver[0] - 'a' + 'A');
  const double scale = settings.guidance.scale;
  const double t_low = settings.guidance.t_low, t_high = settings.guidance.t_high;
  const auto prompt = !name.empty()                       ? name
                      : image.label == config.num_classes ? "no class"
                                                          : c10::str("class ", image.label);
  auto text = c10::str(
      prompt, "\nSteps: ", settings.steps, ", Sampler: ", solver, ", CFG scale: ", shortest(scale),
      ", Seed: ", image.seed, ", Size: ", config.input_size, "x", config.input_size,
      ", Model hash: ", quoted_if_needed(model.model_hash), ", Model: ", quoted_if_needed(model.model_name));
  if (settings.shift != 1) text += ", Shift: " + shortest(settings.shift);
  if (t_low != 0 || t_high != 1)
    text += ", Guidance interval: " + shortest(t_low) + " to " + shortest(t_high);
  return text + ", Version: Switchyard " SWITCHYARD_VERSION;
}

// Reads typed fields of one JSON object and says which one is wrong, as "settings.steps".
class Fields {
 public:
  Fields(const Json& json, std::string path, const std::string& source)
      : json_(json), path_(std::move(path)), source_(source) {
    if (!json.is_object()) fail(path_.empty() ? "expected a JSON object" : path_ + " must be an object");
  }

  double number(const char* name) const {
    const auto& value = get(name);
    if (!value.is_number()) wrong(name, "a number");
    return value.get<double>();
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

  [[noreturn]] void wrong(const char* name, const std::string& expected) const {
    fail(c10::str("field \"", full(name), "\" must be ", expected, ", got ",
                  json_.at(name).dump().substr(0, 80)));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw io::InputError(c10::str(source_, ": text entry \"", kKeyword, "\": ", what));
  }

 private:
  std::string full(const char* name) const { return path_.empty() ? name : path_ + "." + name; }
  const Json& get(const char* name) const {
    const auto found = json_.find(name);
    if (found == json_.end()) fail(c10::str("field \"", full(name), "\" is missing"));
    return *found;
  }

  const Json& json_;
  std::string path_;
  const std::string& source_;
};

Settings read_settings(const Fields& fields) {
  Settings settings;
  try {
    settings.solver = sampler::solver_from_name(fields.text("solver"));
  } catch (const std::invalid_argument& error) {
    fields.fail(error.what());
  }
  settings.steps = static_cast<int>(fields.integer("steps", 1, 1'000'000));
  settings.shift = fields.number("shift");
  if (!(settings.shift > 0 && std::isfinite(settings.shift))) fields.wrong("shift", "positive");
  const auto guidance = fields.object("guidance");
  settings.guidance = {guidance.number("scale"), guidance.number("t_low"), guidance.number("t_high")};
  try {
    sampler::validate(settings.guidance);
  } catch (const std::invalid_argument& error) {
    fields.fail(error.what());
  }
  return settings;
}

}  // namespace

io::TextEntries image_text(const Provenance& model, const dit::ModelConfig& config, const Settings& settings,
                           const Image& image) {
  const auto name = class_name(config, image.label);
  const auto& guidance = settings.guidance;
  const Json json = {
      {"version", kVersion},
      {"model", {{"name", model.model_name}, {"hash", model.model_hash}}},
      {"dtype", model.dtype},
      {"class", image.label},
      {"class_name", name},
      {"seed", image.seed},
      {"settings",
       {{"solver", sampler::to_string(settings.solver)},
        {"steps", settings.steps},
        {"shift", settings.shift},
        {"guidance", {{"scale", guidance.scale}, {"t_low", guidance.t_low}, {"t_high", guidance.t_high}}}}},
  };
  return {{"parameters", parameters(model, config, settings, image, name)}, {kKeyword, json.dump()}};
}

StoredImage read_image_text(const io::TextEntries& text, const std::string& source) {
  const auto entry =
      std::find_if(text.begin(), text.end(), [](const auto& e) { return e.first == kKeyword; });
  if (entry == text.end()) {
    throw io::InputError(source + ": not drawn by Switchyard (no text entry \"" + kKeyword + "\")");
  }
  const Json json = io::parse_json(entry->second, source + ": text entry \"" + std::string(kKeyword) + "\"");
  const Fields fields(json, "", source);
  if (const auto version = fields.integer("version", 0, INT64_MAX); version != kVersion) {
    fields.fail(c10::str("expected version ", kVersion, ", got version ", version));
  }
  const auto model = fields.object("model");
  StoredImage stored{.model = {model.text("name"), model.text("hash"), fields.text("dtype")},
                     .image = {.label = fields.integer("class", 0, INT64_MAX),
                               .seed = static_cast<uint64_t>(
                                   fields.integer("seed", 0, static_cast<int64_t>(sampler::kMaxSeed)))},
                     .class_name = fields.text("class_name"),
                     .settings = read_settings(fields.object("settings"))};
  if (stored.model.dtype != "float32" && stored.model.dtype != "bfloat16") {
    fields.wrong("dtype", "\"float32\" or \"bfloat16\"");
  }
  return stored;
}

std::string model_hash(const std::filesystem::path& file) { return model_hash(io::MappedFile(file).bytes()); }

std::string model_hash(std::span<const std::byte> file) { return io::sha256(file).substr(0, 10); }

}  // namespace switchyard::pipeline

#include "pipeline/metadata.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
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
constexpr int64_t kMost = 1'000'000;  // of steps, channels, experts
constexpr int kVersion = 2;  // 1 had the settings solver, steps, shift, and guidance's scale and interval

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
  const int64_t side = model.image_size > 0 ? model.image_size : config.input_size;
  auto solver = std::string(sampler::to_string(settings.solver));
  solver[0] = static_cast<char>(solver[0] - 'a' + 'A');
  const auto& guidance = settings.guidance;
  const auto prompt = !name.empty()                       ? name
                      : image.label == config.num_classes ? "no class"
                                                          : c10::str("class ", image.label);
  auto text = c10::str(prompt, "\nSteps: ", settings.steps, ", Sampler: ", solver,
                       ", CFG scale: ", shortest(guidance.scale), ", Seed: ", image.seed, ", Size: ", side,
                       "x", side, ", Model hash: ", quoted_if_needed(model.model_hash),
                       ", Model: ", quoted_if_needed(model.model_name));
  if (settings.shift != 1) text += ", Shift: " + shortest(settings.shift);
  if (!settings.spacing.empty()) text += ", Schedule type: " + quoted_if_needed(settings.spacing);
  if (settings.eta != 0) text += ", Eta: " + shortest(settings.eta);
  if (settings.churn.amount != 0) text += ", Sigma churn: " + shortest(settings.churn.amount);
  if (guidance.kind != sampler::GuidanceKind::classifier_free) {
    text += c10::str(", Guidance: ", to_string(guidance.kind));
  }
  if (settings.weak_experts != 0) text += c10::str(", Guided by experts: ", settings.weak_experts);
  if (guidance.t_low != 0 || guidance.t_high != 1) {
    text += ", Guidance interval: " + shortest(guidance.t_low) + " to " + shortest(guidance.t_high);
  }
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
  double number_or_infinity(const char* name) const {
    return get(name).is_null() ? std::numeric_limits<double>::infinity() : number(name);
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

// An infinite number is null in JSON.
Json bound(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json settings_json(const Settings& s) {
  const auto& g = s.guidance;
  const auto& churn = s.churn;
  return {{"solver", sampler::to_string(s.solver)},
          {"steps", s.steps},
          {"spacing", s.spacing},
          {"shift", s.shift},
          {"eta", s.eta},
          {"churn",
           {{"amount", churn.amount},
            {"t_min", churn.t_min},
            {"t_max", bound(churn.t_max)},
            {"noise", churn.noise}}},
          {"sigma_min", s.sigma_min},
          {"sigma_max", s.sigma_max},
          {"rho", s.rho},
          {"clip", s.clip},
          {"guidance",
           {{"scale", g.scale},
            {"t_low", g.t_low},
            {"t_high", g.t_high},
            {"kind", sampler::to_string(g.kind)},
            {"channels", g.channels},
            {"rescale", g.rescale},
            {"zero_from", g.zero_from},
            {"parallel", g.parallel},
            {"longest", g.longest},
            {"momentum", g.momentum}}},
          {"weak_experts", s.weak_experts}};
}

sampler::Guidance read_guidance(const Fields& fields, int64_t version) {
  sampler::Guidance g;
  g.scale = fields.number("scale");
  g.t_low = fields.number("t_low");
  g.t_high = fields.number("t_high");
  if (version >= 2) {
    g.kind = sampler::guidance_kind_from_name(fields.text("kind"));
    g.channels = static_cast<int>(fields.integer("channels", 0, kMost));
    g.rescale = fields.number("rescale");
    g.zero_from = fields.number("zero_from");
    g.parallel = fields.number("parallel");
    g.longest = fields.number("longest");
    g.momentum = fields.number("momentum");
  }
  sampler::validate(g);
  return g;
}

Settings read_settings(const Fields& fields, int64_t version) {
  const auto positive = [&](const char* name) {
    const double value = fields.number(name);
    if (!(value > 0 && std::isfinite(value))) fields.wrong(name, "positive");
    return value;
  };
  const auto between = [&](const char* name, double least, double most) {
    const double value = fields.number(name);
    if (!(least <= value && value <= most)) fields.wrong(name, c10::str("a number in ", least, " .. ", most));
    return value;
  };
  Settings s;
  try {
    s.solver = sampler::solver_from_name(fields.text("solver"));
    s.steps = static_cast<int>(fields.integer("steps", 1, kMost));
    s.shift = positive("shift");
    s.guidance = read_guidance(fields.object("guidance"), version);
    if (version == 1) return s;
    const auto churn = fields.object("churn");
    s.spacing = fields.text("spacing");
    s.eta = between("eta", 0, 1);
    s.churn = {churn.number("amount"), churn.number("t_min"), churn.number_or_infinity("t_max"),
               churn.number("noise")};
    sampler::validate(s.churn);
    s.sigma_min = positive("sigma_min");
    s.sigma_max = positive("sigma_max");
    s.rho = positive("rho");
    s.clip = between("clip", 0, 1e6);
    s.weak_experts = fields.integer("weak_experts", 0, kMost);
  } catch (const std::invalid_argument& error) {
    fields.fail(error.what());
  }
  return s;
}

}  // namespace

io::TextEntries image_text(const Provenance& model, const dit::ModelConfig& config, const Settings& settings,
                           const Image& image, const RoutingRecipe& recipe) {
  const auto name = class_name(config, image.label);
  Json json = {
      {"version", kVersion},
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
      {"class", image.label},
      {"class_name", name},
      {"seed", image.seed},
      {"settings", settings_json(settings)},
  };
  if (!recipe.empty()) json["recipe"] = to_json(recipe, config);
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
  const auto version = fields.integer("version", 0, INT64_MAX);
  if (version < 1 || version > kVersion) {
    fields.fail(c10::str("expected version 1 .. ", kVersion, ", got version ", version));
  }
  const auto model = fields.object("model");
  StoredImage stored{.model = {model.text("name"), model.text("hash"), fields.text("dtype")},
                     .image = {.label = fields.integer("class", 0, INT64_MAX),
                               .seed = static_cast<uint64_t>(
                                   fields.integer("seed", 0, static_cast<int64_t>(sampler::kMaxSeed)))},
                     .class_name = fields.text("class_name"),
                     .settings = read_settings(fields.object("settings"), version)};
  if (version >= 2) {
    stored.model.weights = model.text("weights");
    stored.model.objective = model.text("objective");
    stored.model.experts_per_token = model.integer("experts_per_token", 0, kMost);
    stored.model.num_heads = model.integer("num_heads", 0, kMost);
    stored.model.image_size = fields.integer("image_size", 0, kMost);
    if (json.contains("decoder") && !json["decoder"].is_null()) {
      const auto decoder = fields.object("decoder");
      stored.model.decoder_name = decoder.text("name");
      stored.model.decoder_hash = decoder.text("hash");
    }
  }
  if (json.contains("recipe")) stored.recipe = json["recipe"];
  if (stored.model.dtype != "float32" && stored.model.dtype != "bfloat16" && stored.model.dtype != "int8") {
    fields.wrong("dtype", "\"float32\", \"bfloat16\" or \"int8\"");
  }
  return stored;
}

std::string model_hash(const std::filesystem::path& file) { return model_hash(io::MappedFile(file).bytes()); }

std::string model_hash(std::span<const std::byte> file) { return io::sha256(file).substr(0, 10); }

}  // namespace switchyard::pipeline

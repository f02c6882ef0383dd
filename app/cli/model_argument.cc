#include "app/cli/model_argument.h"

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "app/cli/usage.h"
#include "assets/embedded_model.h"
#include "io/error.h"
#include "pipeline/metadata.h"
#include "sampler/denoiser.h"
#include "sampler/near_misses.h"
#include "sampler/schedule.h"

namespace switchyard::app {
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

std::optional<int64_t> as_index(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

int64_t find_class(const dit::ModelConfig& config, const std::string& given) {
  const std::vector<std::string_view> known(config.class_names.begin(), config.class_names.end());
  const std::string wanted = lower(given);
  std::vector<int64_t> beginnings;
  for (size_t i = 0; i < known.size(); ++i) {
    const std::string name = lower(std::string(known[i]));
    if (name == wanted) return static_cast<int64_t>(i);
    if (!wanted.empty() && name.starts_with(wanted)) beginnings.push_back(static_cast<int64_t>(i));
  }
  if (const auto index = as_index(given)) {
    if (*index >= 0 && *index < config.num_classes) return *index;
    throw std::invalid_argument("class " + given + ": expected an index in 0 .. " +
                                std::to_string(config.num_classes - 1));
  }
  if (beginnings.size() == 1) return beginnings.front();
  const std::string hint = known.empty() ? "the model names no classes: expected an index in 0 .. " +
                                               std::to_string(config.num_classes - 1)
                                         : sampler::near_misses(given, known);
  throw std::invalid_argument((beginnings.empty() ? "unknown class \"" : "ambiguous class \"") + given +
                              "\": " + hint);
}

std::string usable(const std::string& name) {
  std::string text = name;
  for (char& c : text) {
    const bool keep = ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') || c == '_';
    if (!keep) c = '-';
  }
  return text.size() <= 100 && text.find_first_not_of('-') != std::string::npos ? text : "";
}

}  // namespace

std::string ModelArgument::name() const {
  if (file_.empty()) return assets::kEmbeddedModelName;
  // It goes into the images' text, which is UTF-8; a file name need not be.
  std::string name = file_.stem().string();
  std::ranges::replace_if(
      name, [](char c) { return static_cast<unsigned char>(c) >= 0x80 || c < 0x20; }, '?');
  return name;
}

std::string ModelArgument::where() const {
  return file_.empty() ? "embedded in the program" : file_.string();
}

int64_t ModelArgument::bytes() const {
  if (file_.empty()) return static_cast<int64_t>(assets::embedded_model().size());
  std::error_code error;
  const auto size = std::filesystem::file_size(file_, error);
  if (error) throw io::InputError(file_.string() + ": " + error.message());
  return static_cast<int64_t>(size);
}

std::string ModelArgument::hash() const {
  return file_.empty() ? pipeline::model_hash(assets::embedded_model()) : pipeline::model_hash(file_);
}

dit::ModelFile ModelArgument::open() const {
  dit::OpenOptions open;
  if (!options_.weights.empty()) open.weights = options_.weights;
  if (!options_.objective.empty()) {
    const auto colon = options_.objective.find(':');
    const auto schedule = options_.objective.substr(0, colon);
    open.hints.schedule = sampler::Schedule(schedule).name();  // throws where it is unknown
    if (colon != std::string::npos)
      open.hints.prediction = to_string(sampler::prediction_from_name(options_.objective.substr(colon + 1)));
  }
  require_range("--experts-per-token", options_.experts_per_token, 0, 1024);
  require_range("--heads", options_.num_heads, 0, 1024);
  if (options_.experts_per_token > 0) open.hints.experts_per_token = options_.experts_per_token;
  if (options_.num_heads > 0) open.hints.num_heads = options_.num_heads;
  return file_.empty() ? dit::open_model(assets::embedded_model(), "embedded model", open)
                       : dit::open_model(file_, open);
}

void add_model_options(CLI::App& command, ModelOptions& options, bool positional) {
  command
      .add_option(
          positional ? "--model,file" : "--model", options.file,
          "Model file: ours, or an official checkpoint as it is (.pt, .safetensors);\ndefault: the model "
          "embedded in the program")
      ->type_name("FILE")
      ->group("Model");
  add_reading_options(command, options);
}

void add_reading_options(CLI::App& command, ModelOptions& options) {
  const auto add = [&](const char* name, auto& value, const char* help, const char* type) {
    command.add_option(name, value, help)->type_name(type)->group("Model");
  };
  add("--weights", options.weights, "Which weights of a training checkpoint: ema or model; default: ema",
      "NAME");
  add("--objective", options.objective,
      "What the model was trained for, where the file does not say it or is wrong:\nrectified_flow, linear, "
      "cosine or "
      "scaled_linear (DDPM), with another prediction as in\nlinear:v (noise, noise_and_variance, "
      "clean_image, v, velocity)",
      "NAME");
  add("--experts-per-token", options.experts_per_token,
      "Experts that each token picks, where the file does not say it; default: 2, as published", "K");
  add("--heads", options.num_heads,
      "Attention heads, for widths that nobody published: the file does not say it", "N");
}

dit::ModelFile ModelArgument::open_for_use() const {
  auto file = open();
  const auto heads = file.origin.find("num_heads");
  if (heads != file.origin.end() && heads->second == dit::Origin::guessed) {
    throw io::InputError(file.source +
                         ": does not say how many attention heads it has, and no published model is " +
                         std::to_string(file.config.hidden_size) + " wide: give --heads");
  }
  return file;
}

std::vector<int64_t> find_classes(const dit::ModelConfig& config, const std::vector<std::string>& names) {
  std::vector<int64_t> labels;
  const auto add = [&](int64_t label) {
    if (std::ranges::find(labels, label) == labels.end()) labels.push_back(label);
  };
  std::vector<int64_t> all(static_cast<size_t>(config.num_classes));
  std::iota(all.begin(), all.end(), 0);
  for (const auto& name : names) {
    if (lower(name) == "all") return all;
    add(find_class(config, name));
  }
  return names.empty() ? all : labels;
}

std::string class_file_name(const dit::ModelConfig& config, int64_t label) {
  const auto index = static_cast<size_t>(label);
  const auto& names = config.class_names;
  const std::string text = index < names.size() ? usable(names[index]) : "";
  // Two classes must not share a file.
  const bool unique =
      std::ranges::count_if(names, [&](const auto& other) { return usable(other) == text; }) == 1;
  return !text.empty() && unique ? text : "class-" + std::to_string(label);
}

}  // namespace switchyard::app

#include "dit/model_file.h"

#include <ATen/ATen.h>

#include <stdexcept>

#include "dit/checkpoint.h"
#include "dit/diffusers_folder.h"
#include "dit/diffusers_transformer.h"
#include "dit/stored_weights.h"
#include "io/error.h"
#include "io/json.h"
#include "io/own_bytes.h"
#include "io/safetensors.h"
#include "io/state_dict.h"
#include "io/torch_file.h"

namespace switchyard::dit {
namespace {

constexpr int kVersion = 1;

// What whoever loads the file knows better than the file.
void apply(const CheckpointHints& hints, ModelFile& file) {
  const auto set = [&](const char* field, auto& value, const auto& hint) {
    if (!hint || value == *hint) return;
    value = *hint;
    file.origin[field] = Origin::given;
  };
  set("num_heads", file.config.num_heads, hints.num_heads);
  if (hints.num_classes && *hints.num_classes != file.config.num_classes) {
    set_num_classes(file.config, file.config.labels(), *hints.num_classes);
    file.origin["num_classes"] = file.origin["has_null_class"] = Origin::given;
  }
  set("experts_per_token", file.config.experts_per_token, hints.experts_per_token);
  set("experts_per_timestep", file.config.experts_per_timestep, hints.experts_per_timestep);
  set("schedule", file.config.schedule, hints.schedule);
  set("toward_image", file.config.toward_image, hints.toward_image);
  if (file.origin.contains("schedule") && file.config.schedule != "rectified_flow")
    file.config.time_scale = 1;  // timesteps reach the embedding as they are
  set("prediction", file.config.prediction, hints.prediction);
  const auto given = [&](const char* field) {
    const auto found = file.origin.find(field);
    return found != file.origin.end() && found->second == Origin::given;
  };
  if (given("schedule") || given("prediction") || given("toward_image"))
    file.settings = file.fast_settings = nullptr;  // they were for the stated objective
}

void read_own_metadata(const std::string& text, const OpenOptions& options, ModelFile& file) {
  const auto json = io::parse_json(text, file.source + ": its \"" + kMetadataKey + "\" metadata");
  if (!json.is_object() || !json.contains("config") || !json.contains("version")) {
    throw io::InputError(file.source + ": its \"" + kMetadataKey +
                         "\" metadata is not {\"version\", \"config\", ...}");
  }
  if (json["version"] != kVersion) {
    throw io::InputError(file.source + ": model file version " + json["version"].dump() +
                         ", this program reads version " + std::to_string(kVersion));
  }
  file.format = "Switchyard";
  file.training = json.value("training", nlohmann::json::object());
  if (!file.training.is_object())
    throw io::InputError(file.source + ": its training record is " + file.training.type_name() +
                         ", expected an object");
  const auto settings_in = [&](const char* key) {
    const auto settings = json.value(key, nlohmann::json());
    if (settings.is_object() || settings.is_null()) return settings;
    throw io::InputError(file.source + ": its " + key + " are " + settings.type_name() +
                         ", expected an object");
  };
  file.settings = settings_in("settings");
  file.fast_settings = settings_in("fast_settings");
  try {
    file.config = config_from_json(json["config"]);
    apply(options.hints, file);
    file.config.validate();
  } catch (const std::invalid_argument& error) {
    throw io::InputError(file.source + ": " + error.what());
  }
}

void infer(const nlohmann::json& arguments, const OpenOptions& options, ModelFile& file) {
  auto inferred = infer_config(file.tensors, arguments, options.hints, file.source);
  file.config = std::move(inferred.config);
  file.origin = std::move(inferred.origin);
}

void take(StoredWeights stored, ModelFile& file) {
  file.weights = std::move(stored.name);
  file.tensors = std::move(stored.tensors);
  for (const auto& [companion, what] : stored.companions) file.metadata[companion] = "left out: " + what;
}

ModelFile from_diffusers(DiffusersModel model, const std::string& source, const OpenOptions& options) {
  if (options.weights) refuse_choice(*options.weights, source);
  ModelFile file;
  file.source = source;
  file.format = "diffusers";
  file.training = nlohmann::json::object();
  file.config = std::move(model.config);
  file.origin = std::move(model.origin);
  file.tensors = std::move(model.tensors);
  file.settings = std::move(model.settings);
  file.metadata = std::move(model.metadata);
  file.decoder = std::move(model.decoder);
  try {
    apply(options.hints, file);
    file.config.validate();
  } catch (const std::invalid_argument& error) {
    throw io::InputError(source + ": " + error.what());
  }
  return file;
}

ModelFile from_safetensors(io::TensorFile stored, const std::string& source, const OpenOptions& options) {
  ModelFile file;
  file.source = source;
  file.tensors = std::move(stored.tensors);
  file.training = file.metadata = nlohmann::json::object();
  for (const auto& [key, text] : stored.metadata) {
    if (key != kMetadataKey) file.metadata[key] = text;
  }
  if (const auto own = stored.metadata.find(kMetadataKey); own != stored.metadata.end()) {
    if (options.weights) refuse_choice(*options.weights, source);
    read_own_metadata(own->second, options, file);
  } else {
    file.format = "safetensors";
    take(stored_weights(file.tensors, options.weights, source), file);
    infer(nullptr, options, file);
  }
  return file;
}

ModelFile from_torch(const io::TorchValue& tree, const std::string& source, const OpenOptions& options) {
  ModelFile file;
  file.source = source;
  file.format = "PyTorch";
  file.training = file.metadata = nlohmann::json::object();
  take(stored_weights(tree, options.weights, source), file);
  const auto* args = tree.find("args");
  if (args != nullptr) file.training["args"] = io::to_json(*args);
  infer(args != nullptr ? file.training["args"] : nlohmann::json(), options, file);
  return file;
}

}  // namespace

ModelFile open_model(const std::filesystem::path& path, const OpenOptions& options) {
  const auto source = path.string();
  if (is_diffusers(path)) return from_diffusers(open_diffusers(path), source, options);
  if (io::is_torch_file(path)) {
    const auto tree = io::read_torch_file(path);
    if (tree.has_items() && tree.find(kDiffusersFirst) != nullptr)
      return from_diffusers(open_diffusers(path, io::state_dict_of(tree, source)), source, options);
    return from_torch(tree, source, options);
  }
  auto stored = io::read_safetensors(path);
  if (stored.tensors.contains(kDiffusersFirst))
    return from_diffusers(open_diffusers(path, std::move(stored.tensors)), source, options);
  return from_safetensors(std::move(stored), source, options);
}

ModelFile open_model(std::span<const std::byte> bytes, const std::string& name, const OpenOptions& options) {
  // The reader's tensors could be written to; nobody does.
  const std::span<std::byte> mutable_bytes(const_cast<std::byte*>(bytes.data()), bytes.size());
  return from_safetensors(io::parse_safetensors(mutable_bytes, nullptr, name), name, options);
}

DiffusionTransformer make_model(const ModelFile& file, at::ScalarType dtype, at::Device device) {
  io::require_own_bytes(file.tensors, file.source);
  require_numbers_for(file.config, file.tensors, file.source);
  DiffusionTransformer model(file.config, at::TensorOptions().dtype(dtype).device(device));
  load_state(model, file.tensors, file.source);
  return model;
}

void require_fitting_tensors(const ModelFile& file) {
  require_numbers_for(file.config, file.tensors, file.source);
  DiffusionTransformer shapes(file.config, at::TensorOptions().device(at::kMeta));
  load_state(shapes, file.tensors, file.source);
}

void save_model(const std::filesystem::path& path, DiffusionTransformer& model,
                const std::string& training_json, at::ScalarType dtype, const nlohmann::json& settings,
                const nlohmann::json& fast_settings) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : model.state_dict()) tensors[name] = tensor.to(at::kCPU, dtype);
  for (const auto& [name, tensor] : model.buffers()) tensors[name] = tensor->to(at::kCPU);  // as they are
  nlohmann::json metadata = {{"version", kVersion},
                             {"config", to_json(model.config())},
                             {"training", nlohmann::json::parse(training_json)}};
  if (!settings.is_null()) metadata["settings"] = settings;
  if (!fast_settings.is_null()) metadata["fast_settings"] = fast_settings;
  io::write_safetensors(path, tensors, {{kMetadataKey, metadata.dump()}, {"format", "pt"}});
}

}  // namespace switchyard::dit

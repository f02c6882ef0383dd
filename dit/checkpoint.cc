#include "dit/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "io/error.h"
#include "io/json.h"
#include "io/safetensors.h"

namespace switchyard::dit {
namespace {

constexpr int kVersion = 1;

std::string replaced(std::string name, std::string_view from, std::string_view to) {
  const auto at = name.find(from);
  return at == std::string::npos ? name : name.replace(at, from.size(), to);
}

// flash_attn's key style -> timm's, which is ours.
std::string canonical_name(const std::string& name) {
  return replaced(replaced(name, ".attn.Wqkv.", ".attn.qkv."), ".attn.out_proj.", ".attn.proj.");
}

std::string shape_text(at::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

}  // namespace

void load_state(DiffusionTransformer& model, const std::map<std::string, at::Tensor>& tensors,
                const std::string& source) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> problems;
  auto state = model.state_dict();
  const auto derived = model.derived_state();
  std::map<std::string, at::Tensor> given;
  for (const auto& [name, tensor] : tensors) {
    if (!given.emplace(canonical_name(name), tensor).second)
      problems.push_back(name + " comes in both key styles");
  }
  for (auto& [name, target] : state) {
    const auto found = given.find(name);
    if (found == given.end()) {
      problems.push_back(name + " is missing");
    } else if (found->second.sizes() != target.sizes()) {
      problems.push_back(name + " has shape " + shape_text(found->second.sizes()) + ", expected " +
                         shape_text(target.sizes()));
    } else if (!found->second.is_floating_point()) {
      problems.push_back(name + " holds " + toString(found->second.scalar_type()) +
                         ", expected a float type");
    } else {
      target.copy_(found->second);
    }
  }
  for (const auto& [name, tensor] : given) {
    if (state.contains(name)) continue;
    const auto fixed = derived.find(name);
    if (fixed == derived.end()) {
      problems.push_back(name + " is not part of this model");
    } else if (fixed->second.sizes() != tensor.sizes() ||
               !at::equal(fixed->second.to(at::kFloat), tensor.to(at::kCPU, at::kFloat))) {
      problems.push_back(name + " is not what the configuration gives");
    }
  }
  if (problems.empty()) return;

  constexpr size_t kShown = 10;
  std::string message = source + ": its tensors do not fit the model's configuration:";
  for (size_t i = 0; i < std::min(problems.size(), kShown); ++i) message += "\n  " + problems[i];
  if (problems.size() > kShown) message += "\n  and " + std::to_string(problems.size() - kShown) + " more";
  throw io::InputError(message);
}

void require_numbers_for(const ModelConfig& config, const std::map<std::string, at::Tensor>& tensors,
                         const std::string& source) {
  int64_t elements = 0;
  for (const auto& [name, tensor] : tensors) elements += tensor.numel();
  int64_t expected = count_parameters(config).total + config.tokens() * config.hidden_size;  // with pos_embed
  if (config.integer_timesteps()) expected += config.num_timesteps * config.hidden_size;     // masks or table
  if (expected > 2 * elements + (1 << 20)) {
    throw io::InputError(source + ": its configuration asks for " + std::to_string(expected) +
                         " numbers, the file holds " + std::to_string(elements));
  }
}

namespace {

LoadedModel model_from(const io::TensorFile& file, const std::string& source, at::ScalarType dtype) {
  const auto entry = file.metadata.find(kMetadataKey);
  if (entry == file.metadata.end()) {
    throw io::InputError(source + ": not a Switchyard model (no \"" + kMetadataKey +
                         "\" entry in its metadata)");
  }
  const auto json = io::parse_json(entry->second, source + ": its \"" + kMetadataKey + "\" metadata");
  if (!json.is_object() || !json.contains("config") || !json.contains("version")) {
    throw io::InputError(source + ": its \"" + kMetadataKey +
                         "\" metadata is not {\"version\", \"config\", ...}");
  }
  if (json["version"] != kVersion) {
    throw io::InputError(source + ": model file version " + json["version"].dump() +
                         ", this program reads version " + std::to_string(kVersion));
  }
  try {
    auto config = config_from_json(json["config"]);
    require_numbers_for(config, file.tensors, source);
    LoadedModel loaded{DiffusionTransformer(std::move(config), at::TensorOptions().dtype(dtype)),
                       json.contains("training") ? json["training"].dump() : "{}"};
    load_state(loaded.model, file.tensors, source);
    return loaded;
  } catch (const std::invalid_argument& error) {
    throw io::InputError(source + ": " + error.what());
  }
}

}  // namespace

LoadedModel load_model(const std::filesystem::path& path, at::ScalarType dtype) {
  return model_from(io::read_safetensors(path), path.string(), dtype);
}

LoadedModel load_model(std::span<const std::byte> bytes, const std::string& name, at::ScalarType dtype) {
  // The reader's tensors could be written to; load_state only reads them.
  const std::span<std::byte> mutable_bytes(const_cast<std::byte*>(bytes.data()), bytes.size());
  return model_from(io::parse_safetensors(mutable_bytes, nullptr, name), name, dtype);
}

void save_model(const std::filesystem::path& path, DiffusionTransformer& model,
                const std::string& training_json, at::ScalarType dtype) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : model.state_dict()) tensors[name] = tensor.to(at::kCPU, dtype);
  const nlohmann::json metadata = {{"version", kVersion},
                                   {"config", to_json(model.config())},
                                   {"training", nlohmann::json::parse(training_json)}};
  io::write_safetensors(path, tensors, {{kMetadataKey, metadata.dump()}, {"format", "pt"}});
}

}  // namespace switchyard::dit

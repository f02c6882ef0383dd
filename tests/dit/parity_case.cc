#include "parity_case.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <set>
#include <stdexcept>

#include "dit/checkpoint.h"
#include "io/safetensors.h"

namespace switchyard::dit {
namespace {

constexpr const char* kJson = ".json";
constexpr const char* kWeights = ".weights.safetensors";
constexpr const char* kIo = ".io.safetensors";

// The official arguments -> ours. What they leave to the code (hidden widths, q/k norms) the weights tell.
ModelConfig config_of(const nlohmann::json& json, const std::map<std::string, at::Tensor>& weights) {
  const auto& official = json.at("config");
  ModelConfig config;
  official.at("input_size").get_to(config.input_size);
  official.at("patch_size").get_to(config.patch_size);
  official.at("in_channels").get_to(config.in_channels);
  official.at("learn_sigma").get_to(config.learn_sigma);
  official.at("hidden_size").get_to(config.hidden_size);
  official.at("depth").get_to(config.depth);
  official.at("num_heads").get_to(config.num_heads);
  official.at("num_experts").get_to(config.num_experts);
  official.at("num_experts_per_tok").get_to(config.experts_per_token);
  official.at("num_classes").get_to(config.num_classes);
  config.expert_hidden = weights.at("blocks.0.moe.experts.0.gate_proj.weight").size(0);
  config.shared_hidden = weights.at("blocks.0.moe.shared_experts.gate_proj.weight").size(0);
  config.qk_norm = weights.contains("blocks.0.attn.q_norm.weight");
  return config;
}

}  // namespace

std::filesystem::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  const auto folder = fixtures / "dit_moe";
  return std::filesystem::is_directory(folder) ? folder : fixtures;
}

std::vector<std::string> parity_case_names() {
  std::set<std::string> names;
  std::error_code no_folder;
  for (const auto& entry : std::filesystem::directory_iterator(parity_folder(), no_folder)) {
    const auto file = entry.path().filename().string();
    for (const std::string suffix : {kJson, kWeights, kIo}) {
      if (file.ends_with(suffix)) names.insert(file.substr(0, file.size() - suffix.size()));
    }
  }
  return {names.begin(), names.end()};
}

ParityCase ParityCase::load(const std::string& name) {
  const auto base = (parity_folder() / name).string();
  ParityCase loaded;
  loaded.name = name;
  std::ifstream stream(base + kJson);
  if (!stream) throw std::runtime_error(base + kJson + ": cannot be read");
  loaded.json = nlohmann::json::parse(stream);
  loaded.weights = io::read_safetensors(base + kWeights).tensors;
  loaded.io = io::read_safetensors(base + kIo).tensors;
  loaded.config = config_of(loaded.json, loaded.weights);
  return loaded;
}

const at::Tensor& ParityCase::recorded(const std::string& tensor) const {
  const auto found = io.find(tensor);
  if (found == io.end()) throw std::runtime_error(name + kIo + ": no tensor \"" + tensor + "\"");
  return found->second;
}

DiffusionTransformer ParityCase::model(bool packed) const {
  DiffusionTransformer model(config);
  load_state(model, weights, name + kWeights);
  if (packed) model.pack();
  return model;
}

double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes() || expected.numel() == 0) return kInfinite;
  const auto a = actual.detach().to(at::kDouble), e = expected.to(at::kDouble);
  const double difference = (a - e).abs().max().item<double>(), size = e.abs().max().item<double>();
  if (difference == 0) return 0;
  const double error = difference / size;
  return std::isfinite(error) ? error : kInfinite;
}

}  // namespace switchyard::dit

#include "parity_case.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <numbers>
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
  json.at("family").get_to(config.family);
  official.at("input_size").get_to(config.input_size);
  official.at("patch_size").get_to(config.patch_size);
  official.at("in_channels").get_to(config.in_channels);
  official.at("learn_sigma").get_to(config.learn_sigma);
  official.at("hidden_size").get_to(config.hidden_size);
  official.at("depth").get_to(config.depth);
  official.at("num_heads").get_to(config.num_heads);
  official.at("num_classes").get_to(config.num_classes);
  config.qk_norm = weights.contains("blocks.0.attn.q_norm.weight");
  if (weights.contains("blocks.0.moe.gate.weight")) {
    official.at("num_experts").get_to(config.num_experts);
    official.at("num_experts_per_tok").get_to(config.experts_per_token);
    config.expert_hidden = weights.at("blocks.0.moe.experts.0.gate_proj.weight").size(0);
    const auto shared = weights.find("blocks.0.moe.shared_experts.gate_proj.weight");
    config.shared_hidden = shared == weights.end() ? 0 : shared->second.size(0);
    return config;
  }
  config.feed_forward = "mlp";
  config.num_experts = config.experts_per_token = config.expert_hidden = config.shared_hidden = 0;
  config.mlp_hidden = weights.at("blocks.0.mlp.fc1.weight").size(0);
  config.schedule = "linear";
  config.prediction = config.learn_sigma ? "noise_and_variance" : "noise";
  if (config.family == "sit") {  // a DiT in its sizes
    config.family = "dit";
    config.toward_image = true;
    const bool gvp = json.at("path") == "GVP";
    config.schedule = gvp ? "gvp" : "rectified_flow";
    config.prediction = gvp ? "v" : "velocity";
  }
  if (!json.contains("routing_param")) return config;
  const auto& routing = json.at("routing_param");
  if (routing.contains("num_experts")) {
    config.block_router = "timestep_experts";
    routing.at("num_experts").get_to(config.timestep_experts);
    routing.at("k").get_to(config.experts_per_timestep);
    config.num_timesteps = weights.at("full_time").size(0);
  } else {
    config.block_router = "tasks";
    routing.at("alpha").get_to(config.task_alpha);
    routing.at("beta").get_to(config.task_beta);
    routing.at("taskcount").get_to(config.num_timesteps);
  }
  return config;
}

std::vector<std::filesystem::path> fixture_folders() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  std::vector<std::filesystem::path> folders;
  for (const char* topic : {"dit", "dit_moe", "switch_dit", "sit"}) {
    if (std::filesystem::is_directory(fixtures / topic)) folders.push_back(fixtures / topic);
  }
  if (folders.empty()) folders.push_back(fixtures);
  return folders;
}

CaseName describe(const std::filesystem::path& folder, const std::string& name) {
  CaseName described{folder, name, folder.filename().string(), "", {}};
  std::ifstream stream(folder / (name + kJson));
  const auto json = nlohmann::json::parse(stream, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return described;
  described.family = json.value("family", "");
  for (const auto& [key, value] : json.items()) described.recorded.push_back(key);
  return described;
}

}  // namespace

void PrintTo(const CaseName& name, std::ostream* out) { *out << name.topic << '/' << name.name; }

std::vector<CaseName> parity_cases() {
  std::vector<CaseName> cases;
  for (const auto& folder : fixture_folders()) {
    std::set<std::string> names;
    std::error_code no_folder;
    for (const auto& entry : std::filesystem::directory_iterator(folder, no_folder)) {
      const auto file = entry.path().filename().string();
      for (const std::string suffix : {kJson, kWeights, kIo}) {
        if (file.ends_with(suffix)) names.insert(file.substr(0, file.size() - suffix.size()));
      }
    }
    for (const auto& name : names) cases.push_back(describe(folder, name));
  }
  return cases;
}

std::vector<CaseName> parity_cases_of(std::initializer_list<std::string_view> families) {
  auto cases = parity_cases();
  std::erase_if(cases, [&](const CaseName& c) {
    return std::find(families.begin(), families.end(), c.family) == families.end();
  });
  return cases;
}

std::string test_name(const ::testing::TestParamInfo<CaseName>& instance) {
  auto name = instance.param.topic + "_" + instance.param.name;
  for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  return name + "_" + std::to_string(instance.index);
}

std::string searched_folders() {
  std::string text;
  for (const auto& folder : fixture_folders()) text += (text.empty() ? "" : ", ") + folder.string();
  return text;
}

ParityCase ParityCase::load(const CaseName& name) {
  const auto base = (name.folder / name.name).string();
  ParityCase loaded;
  loaded.name = name.topic + "/" + name.name;
  std::ifstream stream(base + kJson);
  if (!stream) throw std::runtime_error(base + kJson + ": cannot be read");
  loaded.json = nlohmann::json::parse(stream);
  loaded.weights = io::read_safetensors(base + kWeights).tensors;
  loaded.io = io::read_safetensors(base + kIo).tensors;
  loaded.config = config_of(loaded.json, loaded.weights);
  if (loaded.config.toward_image) {  // recorded in the other direction, and of gvp as dx/dt
    for (const char* time : {"t", "cfg_t"}) loaded.io[time] = 1 - loaded.io.at(time);
    const double factor = loaded.config.schedule == "gvp" ? -2 / std::numbers::pi : -1;
    for (const char* answer : {"out", "cfg_out"}) loaded.io[answer] = factor * loaded.io.at(answer);
  }
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

at::Tensor recorded_channels(const at::Tensor& answer, const at::Tensor& expected) {
  return answer.narrow(1, 0, expected.size(1));
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

namespace {

// The names of the stored tensors -> those of state_dict().
std::string timm_name(std::string name) {
  for (const auto& [flash, timm] : {std::pair{".Wqkv.", ".qkv."}, std::pair{".out_proj.", ".proj."}}) {
    if (const auto at = name.find(flash); at != std::string::npos)
      name.replace(at, std::string(flash).size(), timm);
  }
  return name;
}

}  // namespace

void ParityTest::expect_within(const std::string& topic, double worst, double limit) const {
  std::printf("%s %s: worst %.2g (limit %.0e)\n", c_.name.c_str(), topic.c_str(), worst, limit);
  EXPECT_LE(worst, limit) << topic;
}

void ParityTest::expect_gradients(const std::vector<at::Tensor>& gradients) const {
  // A model whose parameters are the gradients shows them under the official names.
  DiffusionTransformer gradient_model(c_.config);
  const auto places = gradient_model.parameters();
  for (size_t i = 0; i < places.size(); ++i) *places[i].tensor = gradients[i];
  const auto ours = gradient_model.state_dict();

  const std::string prefix = "grad.";
  double worst = 0;
  int compared = 0;
  for (const auto& [stored, expected] : c_.io) {
    if (!stored.starts_with(prefix)) continue;
    const auto found = ours.find(timm_name(stored.substr(prefix.size())));
    ASSERT_NE(found, ours.end()) << stored << " is not a parameter of ours";
    const double error = relative_error(found->second, expected);
    EXPECT_LE(error, kGradientLimit) << stored;
    worst = std::max(worst, error);
    ++compared;
  }
  EXPECT_GT(compared, 0);
  expect_within(std::to_string(compared) + " gradients", worst, kGradientLimit);
}

}  // namespace switchyard::dit

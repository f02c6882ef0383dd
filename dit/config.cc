#include "dit/config.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <type_traits>

namespace switchyard::dit {
namespace {

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("model configuration: " + message);
}

ModelConfig published(int64_t depth, int64_t hidden, int64_t heads, int64_t patch, int64_t experts) {
  ModelConfig config;
  config.depth = depth;
  config.hidden_size = hidden;
  config.num_heads = heads;
  config.patch_size = patch;
  config.num_experts = experts;
  config.expert_hidden = 4 * hidden;
  config.shared_hidden = 2 * hidden;  // two shared experts of the model's width, fused into one
  return config;
}

ModelConfig solids() {
  ModelConfig config;
  config.input_size = 64;
  config.patch_size = 8;
  config.in_channels = 3;
  config.learn_sigma = false;
  config.hidden_size = 192;
  config.depth = 6;
  config.num_heads = 3;
  config.expert_hidden = 176;
  config.shared_hidden = 176;
  config.num_classes = 10;
  config.prediction = "clean_image";
  config.time_scale = 1000;
  return config;
}

ModelConfig tiny() {
  auto config = solids();
  config.input_size = 16;
  config.patch_size = 4;
  config.hidden_size = 32;
  config.depth = 2;
  config.num_heads = 2;
  config.num_experts = 4;
  config.expert_hidden = 32;
  config.shared_hidden = 32;
  return config;
}

struct Preset {
  std::string_view name;
  ModelConfig (*make)();
};

constexpr std::array kPresets = {
    Preset{"solids", solids},
    Preset{"tiny", tiny},
    Preset{"dit-moe-s/2-8e2a", [] { return published(12, 384, 6, 2, 8); }},
    Preset{"dit-moe-s/2-16e2a", [] { return published(12, 384, 6, 2, 16); }},
    Preset{"dit-moe-b/2-8e2a", [] { return published(12, 768, 12, 2, 8); }},
    Preset{"dit-moe-l/2-8e2a", [] { return published(24, 1024, 16, 2, 8); }},
    Preset{"dit-moe-xl/2-8e2a", [] { return published(28, 1152, 16, 2, 8); }},
};

}  // namespace

void ModelConfig::validate() const {
  // The upper bounds keep every product of sizes far from overflow, whatever a file claims.
  const auto positive = [](const char* field, int64_t value, int64_t most) {
    require(value > 0 && value <= most, std::string(field) + " must be in 1 .. " + std::to_string(most) +
                                            ", got " + std::to_string(value));
  };
  require(family == "dit-moe", "family must be \"dit-moe\", got \"" + family + "\"");
  require(schedule == "rectified_flow", "schedule must be \"rectified_flow\", got \"" + schedule + "\"");
  require(prediction == "velocity" || prediction == "clean_image",
          "prediction must be \"velocity\" or \"clean_image\", got \"" + prediction + "\"");
  positive("input_size", input_size, 4096);
  positive("patch_size", patch_size, 256);
  positive("in_channels", in_channels, 256);
  positive("hidden_size", hidden_size, 16384);
  positive("depth", depth, 1024);
  positive("num_heads", num_heads, 1024);
  positive("num_experts", num_experts, 1024);
  positive("experts_per_token", experts_per_token, 1024);
  positive("expert_hidden", expert_hidden, 131072);
  positive("shared_hidden", shared_hidden, 131072);
  positive("num_classes", num_classes, 1048576);
  require(input_size % patch_size == 0, "patch_size " + std::to_string(patch_size) +
                                            " must divide input_size " + std::to_string(input_size));
  require(hidden_size % num_heads == 0, "num_heads " + std::to_string(num_heads) +
                                            " must divide hidden_size " + std::to_string(hidden_size));
  require(hidden_size % 4 == 0,
          "hidden_size must be a multiple of 4 (2-d position embedding), got " + std::to_string(hidden_size));
  require(experts_per_token <= num_experts, "experts_per_token " + std::to_string(experts_per_token) +
                                                " must be at most num_experts " +
                                                std::to_string(num_experts));
  require(class_names.empty() || static_cast<int64_t>(class_names.size()) == num_classes,
          "class_names must be empty or " + std::to_string(num_classes) + " names, got " +
              std::to_string(class_names.size()));
  for (const auto& name : class_names) {
    const auto control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
    require(name.size() <= 200 && std::ranges::none_of(name, control),
            "class_names must be at most 200 bytes each, without control characters");
  }
  require(time_scale > 0 && time_scale <= 1e6,
          "time_scale must be in (0, 1e6], got " + std::to_string(time_scale));
}

ModelConfig config_from_json(const nlohmann::json& json) {
  require(json.is_object(), "expected a JSON object, got " + std::string(json.type_name()));
  ModelConfig config;
  size_t fields = 0;
  ModelConfig::for_each_field(config, [&](const char* name, auto& value, const char*) {
    ++fields;
    require(json.contains(name), "field \"" + std::string(name) + "\" is missing");
    const auto& given = json.at(name);
    const auto wrong_type =
        "field \"" + std::string(name) + "\" has a wrong type (" + given.type_name() + ")";
    if constexpr (std::is_same_v<decltype(value), int64_t&>) {  // the library would cut 2.5 down to 2
      require(given.is_number_integer(), wrong_type + ", expected an integer");
    }
    try {
      given.get_to(value);
    } catch (const nlohmann::json::exception&) {
      require(false, wrong_type);
    }
  });
  if (json.size() != fields) {
    const auto known = to_json(ModelConfig{});
    for (const auto& [key, value] : json.items())
      require(known.contains(key), "unknown field \"" + key + "\"");
  }
  config.validate();
  return config;
}

nlohmann::json to_json(const ModelConfig& config) {
  nlohmann::json json;
  ModelConfig::for_each_field(config,
                              [&](const char* name, const auto& value, const char*) { json[name] = value; });
  return json;
}

ModelConfig preset(std::string_view name) {
  std::string known;
  for (const auto& preset : kPresets) {
    if (preset.name == name) return preset.make();
    known += (known.empty() ? "" : ", ") + std::string(preset.name);
  }
  throw std::invalid_argument("unknown model preset \"" + std::string(name) + "\"; known: " + known);
}

std::vector<std::string_view> preset_names() {
  std::vector<std::string_view> names;
  for (const auto& preset : kPresets) names.push_back(preset.name);
  return names;
}

ParameterCount count_parameters(const ModelConfig& c) {
  const int64_t d = c.hidden_size;
  const int64_t expert = 3 * d * c.expert_hidden;
  const int64_t attention = 3 * d * d + 3 * d + d * d + d + (c.qk_norm ? 4 * c.head_size() : 0);
  const int64_t block = attention + (6 * d * d + 6 * d) + c.num_experts * d + 3 * d * c.shared_hidden;
  const int64_t patch = c.patch_size * c.patch_size;
  const int64_t embedders =
      (c.in_channels * patch * d + d) + (256 * d + d + d * d + d) + (c.num_classes + 1) * d;
  const int64_t final_layer = (2 * d * d + 2 * d) + (d * patch * c.out_channels() + patch * c.out_channels());
  const int64_t always = embedders + final_layer + c.depth * block;
  return {always + c.depth * c.num_experts * expert, always + c.depth * c.experts_per_token * expert};
}

}  // namespace switchyard::dit

// What a model is: sizes, experts, and what its output means. Stored as JSON inside the model file.
//
// One visitor, for_each_field, states every field once with its help text; JSON and `info` are fed by it.
// validate() is called wherever a configuration enters (file, preset, command line); it throws
// std::invalid_argument naming the field, what was expected and what came.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::dit {

struct ModelConfig {
  std::string family = "dit-moe";

  // Input: images or latents [in_channels, input_size, input_size], cut into square patches.
  int64_t input_size = 32;
  int64_t patch_size = 2;
  int64_t in_channels = 4;
  bool learn_sigma = true;  // twice the output channels; the second half is unused under rectified flow

  // Transformer
  int64_t hidden_size = 384;
  int64_t depth = 12;
  int64_t num_heads = 6;
  bool qk_norm = false;

  // Feed-forward: routed SwiGLU experts beside one shared SwiGLU network
  int64_t num_experts = 8;
  int64_t experts_per_token = 2;
  int64_t expert_hidden = 1536;
  int64_t shared_hidden = 768;

  // Condition: a class label; label num_classes means "no class" (classifier-free guidance)
  int64_t num_classes = 1000;
  std::vector<std::string> class_names;  // empty, or num_classes names

  // Objective
  std::string schedule = "rectified_flow";
  std::string prediction = "velocity";
  double time_scale = 1.0;  // the timestep embedding sees time_scale * t, t in [0, 1]

  int64_t tokens() const { return (input_size / patch_size) * (input_size / patch_size); }
  int64_t out_channels() const { return learn_sigma ? 2 * in_channels : in_channels; }
  int64_t head_size() const { return hidden_size / num_heads; }
  int64_t null_class() const { return num_classes; }

  void validate() const;
  bool operator==(const ModelConfig&) const = default;

  template <class Config, class Visitor>
  static void for_each_field(Config& c, Visitor visit) {
    visit("family", c.family, "model family");
    visit("input_size", c.input_size, "side of the image or latent");
    visit("patch_size", c.patch_size, "side of a patch");
    visit("in_channels", c.in_channels, "channels of the image or latent");
    visit("learn_sigma", c.learn_sigma, "the output holds a learned variance too");
    visit("hidden_size", c.hidden_size, "width of a token");
    visit("depth", c.depth, "number of blocks");
    visit("num_heads", c.num_heads, "attention heads per block");
    visit("qk_norm", c.qk_norm, "queries and keys are layer-normalised");
    visit("num_experts", c.num_experts, "routed experts per block");
    visit("experts_per_token", c.experts_per_token, "routed experts that each token picks");
    visit("expert_hidden", c.expert_hidden, "hidden width of a routed expert");
    visit("shared_hidden", c.shared_hidden, "hidden width of the shared expert");
    visit("num_classes", c.num_classes, "number of classes");
    visit("class_names", c.class_names, "names of the classes");
    visit("schedule", c.schedule, "noise schedule");
    visit("prediction", c.prediction, "what the output means");
    visit("time_scale", c.time_scale, "factor on t in [0, 1] before the timestep embedding");
  }
};

/// Every field must be present and of its type, nothing else may be; throws std::invalid_argument otherwise.
ModelConfig config_from_json(const nlohmann::json& json);
nlohmann::json to_json(const ModelConfig& config);

/// Published and embedded configurations by name ("dit-moe-s/2-8e2a", "solids"); throws std::invalid_argument
/// listing them.
ModelConfig preset(std::string_view name);
std::vector<std::string_view> preset_names();

struct ParameterCount {
  int64_t total = 0;
  int64_t activated =
      0;  // what one token passes through: experts_per_token of the num_experts routed experts
};
ParameterCount count_parameters(const ModelConfig& config);

}  // namespace switchyard::dit

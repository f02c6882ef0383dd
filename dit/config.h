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
  // What the field calls the combination of block router and feed-forward: see family_name().
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
  // As diffusers has them: each block with its own embedders of timestep and class (the output layer has the first
  // block's), timestep frequencies 10000^(-i / (128 - frequency_shift)), the eps of the feed-forward's layer norm.
  bool block_embedders = false;
  int64_t frequency_shift = 0;
  double norm_eps = 1e-6;

  // Feed-forward "moe": routed SwiGLU experts beside one shared SwiGLU network (shared_hidden 0: none).
  // Feed-forward "mlp": one GELU network. The fields of the other kind are 0.
  std::string feed_forward = "moe";
  int64_t num_experts = 8;
  int64_t experts_per_token = 2;
  int64_t expert_hidden = 1536;
  int64_t shared_hidden = 768;
  int64_t mlp_hidden = 0;
  // Who picks the routed experts: "top_k" (each token its own), "expert_choice" (each expert its tokens, on
  // average experts_per_token for a token), "loss_free" (top-k with a bias per expert that balances the load).
  std::string token_router = "top_k";
  // Where blocks differ: one number per block, of which num_experts and expert_hidden are the largest.
  std::vector<int64_t> block_experts, block_expert_hidden;

  // Block router: which part of its input a block works on, by timestep. "none", "tasks" (DTR's fixed masks),
  // "timestep_experts" (Switch-DiT's experts); the fields of the others are 0.
  std::string block_router = "none";
  double task_alpha = 0;             // how late the windows of "tasks" move
  double task_beta = 0;              // share of the channels inside a window
  int64_t timestep_experts = 0;      // experts per block ...
  int64_t experts_per_timestep = 0;  // ... and how many of them a timestep picks
  int64_t num_timesteps = 1000;      // diffusion times are 0 .. num_timesteps - 1

  // Condition: a class label. With has_null_class, label num_classes means "no class" (classifier-free guidance); a
  // model of one class without it is unconditional.
  int64_t num_classes = 1000;
  bool has_null_class = true;
  std::vector<std::string> class_names;  // empty, or num_classes names

  // Objective
  std::string schedule = "rectified_flow";
  std::string prediction = "velocity";
  double time_scale =
      1.0;  // the timestep embedding sees time_scale * t; t in [0, 1] for rectified flow and gvp
  // SiT's convention: the network is told 1 - t and answers dx/d(1 - t). forward() still takes t and answers with
  // `prediction`: velocity of the rectified flow, v (2 / pi times as long) of gvp.
  bool toward_image = false;

  int64_t tokens() const { return (input_size / patch_size) * (input_size / patch_size); }
  int64_t out_channels() const { return learn_sigma ? 2 * in_channels : in_channels; }
  int64_t head_size() const { return hidden_size / num_heads; }
  int64_t null_class() const { return num_classes; }  // a label only with has_null_class
  int64_t labels() const { return has_null_class ? num_classes + 1 : num_classes; }

  /// "linear:noise", "sit:velocity": schedule and prediction as --objective takes them.
  std::string objective() const;

  /// What the parts that the configuration names can do; false for unknown ones.
  bool routes_tokens() const;
  bool routes_timesteps() const;
  /// Such models know the timesteps 0 .. num_timesteps - 1 and nothing between them.
  bool integer_timesteps() const;

  /// Of a block's routed experts: how many there are, and how wide.
  int64_t experts_of(int64_t block) const { return block_experts.empty() ? num_experts : block_experts.at(block); }
  int64_t expert_hidden_of(int64_t block) const {
    return block_expert_hidden.empty() ? expert_hidden : block_expert_hidden.at(block);
  }

  void validate() const;
  bool operator==(const ModelConfig&) const = default;

  template <class Config, class Visitor>
  static void for_each_field(Config& c, Visitor visit) {
    for_each_first_field(c, visit);
    for_each_later_field(c, visit);
  }

  /// The fields of the first version, which every model file has.
  template <class Config, class Visitor>
  static void for_each_first_field(Config& c, Visitor visit) {
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
    visit("time_scale", c.time_scale, "factor on t before the timestep embedding");
  }

  /// Fields added since: a file without them has the defaults above.
  template <class Config, class Visitor>
  static void for_each_later_field(Config& c, Visitor visit) {
    visit("feed_forward", c.feed_forward, "kind of feed-forward");
    visit("mlp_hidden", c.mlp_hidden, "hidden width of the dense feed-forward");
    visit("block_router", c.block_router, "what splits a block's input by timestep");
    visit("task_alpha", c.task_alpha, "exponent of the task windows");
    visit("task_beta", c.task_beta, "share of channels in a task window");
    visit("timestep_experts", c.timestep_experts, "experts per block that the timestep picks from");
    visit("experts_per_timestep", c.experts_per_timestep, "experts that each timestep picks");
    visit("num_timesteps", c.num_timesteps, "number of diffusion timesteps");
    visit("token_router", c.token_router, "who picks the routed experts");
    visit("block_experts", c.block_experts, "routed experts of each block, where they differ");
    visit("block_expert_hidden", c.block_expert_hidden, "hidden width of each block's experts, where they differ");
    visit("toward_image", c.toward_image, "SiT: time and velocity run from the noise to the image");
    visit("has_null_class", c.has_null_class,
          "the table of classes has a row for no class, which guidance needs");
    visit("block_embedders", c.block_embedders, "each block has its own embedders of timestep and class");
    visit("frequency_shift", c.frequency_shift, "the timestep embedding's frequencies end so much sooner");
    visit("norm_eps", c.norm_eps, "eps of the layer norm before the feed-forward");
  }
};

/// Every field of the first version must be present, and all of their type; nothing else may be there. Throws
/// std::invalid_argument otherwise.
ModelConfig config_from_json(const nlohmann::json& json);
nlohmann::json to_json(const ModelConfig& config);

/// The family of a block router and a feed-forward, "dit-moe", say; empty when one of them is unknown.
std::string family_name(std::string_view block_router, std::string_view feed_forward);

/// Published and embedded configurations by name ("dit-xl/2", "dit-moe-s/2-8e2a", "switch-dit-b/2",
/// "solids/4"); throws std::invalid_argument listing them.
ModelConfig preset(std::string_view name);
std::vector<std::string_view> preset_names();

struct ParameterCount {
  int64_t total = 0;
  int64_t activated = 0;  // what one token passes through: the chosen ones of the routed experts
};
/// Counted from the sizes alone; nothing is allocated.
ParameterCount count_parameters(const ModelConfig& config);

}  // namespace switchyard::dit

// Configurations by name: the published ones, and those of the models that this program trains.
#include <array>
#include <stdexcept>

#include "dit/config.h"

namespace switchyard::dit {
namespace {

struct Size {
  int64_t depth, hidden, heads;
};
constexpr Size kS{12, 384, 6}, kB{12, 768, 12}, kL{24, 1024, 16}, kXl{28, 1152, 16}, kG{40, 1408, 16};

void set_size(ModelConfig& config, const Size& size) {
  config.depth = size.depth;
  config.hidden_size = size.hidden;
  config.num_heads = size.heads;
}

// DiT (Peebles and Xie 2023): a GELU network of 4 times the width, DDPM on the linear schedule.
ModelConfig dense(const Size& size, int64_t patch) {
  ModelConfig config;
  set_size(config, size);
  config.family = "dit";
  config.patch_size = patch;
  config.feed_forward = "mlp";
  config.mlp_hidden = 4 * size.hidden;
  config.num_experts = config.experts_per_token = config.expert_hidden = config.shared_hidden = 0;
  config.schedule = "linear";
  config.prediction = "noise_and_variance";
  return config;
}

// DTR (Park et al. 2024): the same with windows of 0.8 of the channels, on the cosine schedule.
ModelConfig task_routed(const Size& size) {
  auto config = dense(size, 2);
  config.family = "dtr";
  config.block_router = "tasks";
  config.task_alpha = 4;
  config.task_beta = 0.8;
  config.schedule = "cosine";
  return config;
}

// Switch-DiT (Park et al. 2024): three experts per block of which each timestep picks two, on the cosine
// schedule.
ModelConfig timestep_routed(const Size& size) {
  auto config = dense(size, 2);
  config.family = "switch-dit";
  config.block_router = "timestep_experts";
  config.timestep_experts = 3;
  config.experts_per_timestep = 2;
  config.schedule = "cosine";
  return config;
}

// DiT-MoE (Fei et al. 2024): each token picks two of the experts; two shared experts, fused into one.
ModelConfig token_routed(const Size& size, int64_t experts) {
  ModelConfig config;
  set_size(config, size);
  config.num_experts = experts;
  config.expert_hidden = 4 * size.hidden;
  config.shared_hidden = 2 * size.hidden;
  return config;
}

// DiT-MoE on 64x64 pixels. The embedded model has patches of 4; with 8 an image costs a fifth (on CPUs).
ModelConfig solids(int64_t patch) {
  ModelConfig config;
  config.input_size = 64;
  config.patch_size = patch;
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

// Switch-DiT on the same pictures. At patches as wide as the model, it has to answer with the clean image.
ModelConfig solids_timestep_routed(int64_t patch) {
  auto config = timestep_routed({8, 192, 3});
  const auto pictures = solids(patch);
  config.input_size = pictures.input_size;
  config.patch_size = patch;
  config.in_channels = pictures.in_channels;
  config.num_classes = pictures.num_classes;
  config.learn_sigma = false;
  config.prediction = "clean_image";
  return config;
}

ModelConfig tiny() {
  auto config = solids(4);
  config.input_size = 16;
  config.hidden_size = 32;
  config.depth = 2;
  config.num_heads = 2;
  config.num_experts = 4;
  config.expert_hidden = 32;
  config.shared_hidden = 32;
  return config;
}

ModelConfig tiny_routed_by(std::string router) {
  auto config = tiny();
  config.token_router = std::move(router);
  return config;
}

// The combination that nobody has published: timesteps pick what a block works on, tokens who works on it.
ModelConfig tiny_switch() {
  auto config = tiny();
  config.family = "switch-dit-moe";
  config.block_router = "timestep_experts";
  config.timestep_experts = 3;
  config.experts_per_timestep = 2;
  config.schedule = "cosine";
  config.prediction = "noise";
  config.time_scale = 1;
  return config;
}

struct Preset {
  std::string_view name;
  ModelConfig (*make)();
};

constexpr std::array kPresets = {
    Preset{"solids/4", [] { return solids(4); }},
    Preset{"solids/8", [] { return solids(8); }},
    Preset{"solids-switch/8", [] { return solids_timestep_routed(8); }},
    Preset{"tiny", tiny},
    Preset{"tiny-switch-dit-moe", tiny_switch},
    Preset{"tiny-expert-choice", [] { return tiny_routed_by("expert_choice"); }},
    Preset{"tiny-loss-free", [] { return tiny_routed_by("loss_free"); }},
    Preset{"dit-s/2", [] { return dense(kS, 2); }},
    Preset{"dit-s/4", [] { return dense(kS, 4); }},
    Preset{"dit-s/8", [] { return dense(kS, 8); }},
    Preset{"dit-b/2", [] { return dense(kB, 2); }},
    Preset{"dit-b/4", [] { return dense(kB, 4); }},
    Preset{"dit-b/8", [] { return dense(kB, 8); }},
    Preset{"dit-l/2", [] { return dense(kL, 2); }},
    Preset{"dit-l/4", [] { return dense(kL, 4); }},
    Preset{"dit-l/8", [] { return dense(kL, 8); }},
    Preset{"dit-xl/2", [] { return dense(kXl, 2); }},
    Preset{"dit-xl/4", [] { return dense(kXl, 4); }},
    Preset{"dit-xl/8", [] { return dense(kXl, 8); }},
    Preset{"dtr-s/2", [] { return task_routed(kS); }},
    Preset{"dtr-b/2", [] { return task_routed(kB); }},
    Preset{"dtr-l/2", [] { return task_routed(kL); }},
    Preset{"dtr-xl/2", [] { return task_routed(kXl); }},
    Preset{"switch-dit-s/2", [] { return timestep_routed(kS); }},
    Preset{"switch-dit-b/2", [] { return timestep_routed(kB); }},
    Preset{"switch-dit-l/2", [] { return timestep_routed(kL); }},
    Preset{"switch-dit-xl/2", [] { return timestep_routed(kXl); }},
    Preset{"dit-moe-s/2-8e2a", [] { return token_routed(kS, 8); }},
    Preset{"dit-moe-s/2-16e2a", [] { return token_routed(kS, 16); }},
    Preset{"dit-moe-b/2-8e2a", [] { return token_routed(kB, 8); }},
    Preset{"dit-moe-l/2-8e2a", [] { return token_routed(kL, 8); }},
    Preset{"dit-moe-xl/2-8e2a", [] { return token_routed(kXl, 8); }},
    Preset{"dit-moe-g/2-16e2a", [] { return token_routed(kG, 16); }},
};

}  // namespace

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

}  // namespace switchyard::dit

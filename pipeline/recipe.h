// A routing recipe: what a person changes in who works on what, while images are drawn.
//
// A list of edits, in JSON:
//   [{"layers": [4, 5],              which blocks; left out: all
//     "t": [0.5, 1],                 where on the way from noise (1) to image (0), both ends included; left out: [0, 1]
//     "experts": [3],                which experts of these blocks
//     "action": "mute",              "mute": never chosen, "force": chosen before all others, "scale": its gate weight
//     "factor": 0.5,                 is multiplied by this
//     "half": "both",                of guidance: "conditional", "unconditional" or "both", the default
//     "region": {"rectangle": [2, 0, 4, 8]},   x, y, width, height in patches; or {"mask": "face.png"}, white where it
//                                    holds, a whole multiple of the patches in size; or {"patches": ["0110", ...]}, a
//                                    row of patches each; left out: everywhere. Of routers that take tokens
//     "images": [0, 2],              which images of the request; left out: all
//     "router": "tokens"}]           or "timesteps"; left out: what the model routes, tokens before timesteps
//
// Edits that meet add up: scales multiply, and what is muted stays muted. A recipe is compiled into
// dit::RoutingControl; every image is drawn with what it says of that image, and stores that in its PNG.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "dit/config.h"
#include "dit/routing_control.h"

namespace switchyard::pipeline {

/// Which of a block's routers: the one of its feed-forward, or the one of its input, which takes the
/// timestep.
enum class Router { tokens, timesteps };

struct RoutingEdit {
  enum class Action { mute, scale, force };
  enum class Half { conditional, unconditional, both };

  Router router = Router::tokens;
  std::vector<int64_t> layers = {};  // sorted, of the model's; empty: all
  double t_low = 0, t_high = 1;      // noise fractions, see sampler::Schedule::noise_fraction
  std::vector<int64_t> experts = {};
  Action action = Action::mute;
  double factor = 1;                 // of scale
  Half half = Half::both;
  std::vector<bool> region = {};     // [T], row by row; empty: everywhere
  std::vector<int64_t> images = {};  // indices in the request; empty: all

  bool operator==(const RoutingEdit&) const = default;
};

using RoutingRecipe = std::vector<RoutingEdit>;

/// Throws io::InputError naming `source`, the edit (from 0) and the field: unknown or missing ones, wrong types,
/// layers, experts or patches that the model does not have. Mask files are looked for in `folder`.
RoutingRecipe recipe_from_json(const nlohmann::ordered_json& json, const dit::ModelConfig& config,
                               const std::string& source, const std::filesystem::path& folder = {});
RoutingRecipe read_recipe(const std::filesystem::path& file, const dit::ModelConfig& config);

/// The way back; regions as patches.
nlohmann::ordered_json to_json(const RoutingRecipe& recipe, const dit::ModelConfig& config);

/// What it says of one image, without the field images.
RoutingRecipe recipe_of_image(const RoutingRecipe& recipe, int64_t image);

/// A recipe as tensors for a model.
class CompiledRecipe {
 public:
  CompiledRecipe(RoutingRecipe recipe, const dit::ModelConfig& config, at::Device device);

  bool empty() const { return recipe_.empty(); }

  /// Throws std::invalid_argument, naming the edits, where at one of these noise fractions a token of some image
  /// would have no expert left, or more experts are forced than it picks (expert choice: more tokens than the
  /// expert takes).
  void require_possible(const std::vector<double>& noise_fractions, int64_t images) const;

  /// For a batch: the images first .. first + count - 1, once per entry of `halves` (true: with the class).
  /// Empty where no edit is active. Kept from call to call.
  const dit::RoutingControl& at(double noise_fraction, int64_t first, int64_t count,
                                const std::vector<bool>& halves);

 private:
  std::vector<size_t> active_at(double noise_fraction) const;
  dit::RoutingControl compile(const std::vector<size_t>& active, int64_t first, int64_t count,
                              const std::vector<bool>& halves) const;
  void require_possible(const std::vector<size_t>& active, const dit::RoutingControl& control) const;

  RoutingRecipe recipe_;
  dit::ModelConfig config_;
  at::Device device_;
  bool by_row_ = false, by_token_ = false;  // whether any edit tells rows or tokens apart
  struct Kept {
    std::vector<size_t> active;
    int64_t first, count;
    std::vector<bool> halves;
    dit::RoutingControl control;
  };
  std::vector<Kept> kept_;  // the last few
};

}  // namespace switchyard::pipeline

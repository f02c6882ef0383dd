#include "train/recipe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "io/near_misses.h"
#include "pipeline/settings_text.h"

namespace switchyard::train {

void Recipe::validate() const {
  const auto require = [](bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument("training recipe: " + message);
  };
  const auto in_range = [&](const char* name, double value, double low, double high) {
    require(value >= low && value <= high, std::string(name) + " must be in " + nlohmann::json(low).dump() +
                                               " .. " + nlohmann::json(high).dump() + ", got " +
                                               nlohmann::json(value).dump());
  };
  const auto config = dit::preset(model);
  require(config.in_channels == 3, "model must draw RGB images, \"" + model + "\" does not");
  require(image_size == 0 || (image_size >= 16 && image_size <= 512 && image_size % config.patch_size == 0),
          "image_size must be 0 or a multiple of " + std::to_string(config.patch_size) +
              ", the side of the patches of \"" + model + "\", in 16 .. 512, got " +
              std::to_string(image_size));
  require(config.routes_tokens() || config.routes_timesteps(),
          "model must route tokens or timesteps to experts, \"" + model + "\" does not");
  in_range("images", static_cast<double>(images), 1, 1e12);
  in_range("batch_size", static_cast<double>(batch_size), 1, 65536);
  require(
      shard_size >= 1 && batch_size % shard_size == 0,
      "shard_size " + std::to_string(shard_size) + " must divide batch_size " + std::to_string(batch_size));
  in_range("learning_rate", learning_rate, 0, 1);
  in_range("warmup_images", static_cast<double>(warmup_images), 0, 1e12);
  in_range("decay_fraction", decay_fraction, 0, 1);
  in_range("beta1", beta1, 0, 0.999999);
  in_range("beta2", beta2, 0, 0.999999);
  in_range("adam_eps", adam_eps, 1e-20, 1);
  in_range("weight_decay", weight_decay, 0, 1);
  in_range("max_gradient_norm", max_gradient_norm, 1e-6, 1e6);
  in_range("ema_decay", ema_decay, 0, 1);
  in_range("class_dropout", class_dropout, 0, 1);
  in_range("balance_weight", balance_weight, 0, 1e3);
  in_range("time_location", time_location, -10, 10);
  in_range("time_scale", time_scale, 0, 10);
  in_range("min_time", min_time, 1e-4, 1);
}

double Recipe::learning_rate_at(int64_t step, int64_t first_step) const {
  const double seen = static_cast<double>(step * batch_size);
  const double warm = static_cast<double>((step - first_step + 1) * batch_size);
  const double total = static_cast<double>(images);
  const double warmup = warmup_images > 0 ? warm / static_cast<double>(warmup_images) : 1.0;
  const double decay = decay_fraction > 0 ? (total - seen) / (decay_fraction * total) : 1.0;
  return learning_rate * std::clamp(std::min(warmup, decay), 0.0, 1.0);
}

nlohmann::json to_json(const Recipe& recipe) {
  nlohmann::json json;
  Recipe::for_each_field(recipe,
                         [&](const char* name, const auto& value, const char*) { json[name] = value; });
  json["data"] = recipe.data;
  return json;
}

dit::ModelConfig model_config(const Recipe& recipe) {
  auto config = dit::preset(recipe.model);
  if (recipe.image_size > 0) config.input_size = recipe.image_size;
  return config;
}

nlohmann::json settings_of(const Recipe& recipe, int steps) {
  if (!recipe.model.starts_with("solids/") || recipe.data != "solids")
    return nullptr;  // nobody has measured the others
  return pipeline::settings_json(dit::preset(recipe.model),
                                 {.solver = {.solver = sampler::Solver::euler_stochastic},
                                  .grid = {.steps = steps, .shift = 3},
                                  .guidance = {.scale = 1}});
}

Recipe recipe(std::string_view name) {
  if (name == "solids") return {};
  if (name == "solids-switch") {
    Recipe timestep_routed;
    timestep_routed.model = "solids-switch/8";
    timestep_routed.images = 1'000'000;
    timestep_routed.batch_size = 64;
    timestep_routed.shard_size = 32;
    timestep_routed.learning_rate = 1e-3;
    return timestep_routed;
  }
  if (name == "pictures") {
    Recipe pictures;
    pictures.model = "solids/8";
    pictures.flip = true;
    pictures.images = 500'000;
    pictures.batch_size = 64;
    pictures.learning_rate = 1e-3;
    return pictures;
  }
  if (name == "tiny") {
    Recipe tiny;
    tiny.model = "tiny";
    tiny.images = 320;
    tiny.batch_size = 8;
    tiny.shard_size = 4;
    tiny.learning_rate = 1e-3;
    tiny.warmup_images = 64;
    return tiny;
  }
  const auto known = recipe_names();
  throw std::invalid_argument("unknown preset \"" + std::string(name) +
                              "\": " + io::near_misses(name, known));
}

std::vector<std::string_view> recipe_names() { return {"solids", "solids-switch", "pictures", "tiny"}; }

}  // namespace switchyard::train

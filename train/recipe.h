// A training recipe: everything that, with the code and the device, determines the trained model.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "dit/config.h"

namespace switchyard::train {

struct Recipe {
  std::string model = "solids/4";  // a dit::preset, but for its classes, which are those of the data
  std::string data = "solids";     // data::TrainingImages::identity(), which train() fills in
  int64_t image_size = 0;          // 0: the preset's
  bool flip = false;               // mirror half of the images
  int64_t images = 3'719'680;      // to be seen in all
  int64_t batch_size = 256;
  // On a CPU: images per shard; gradients are summed in the order of the shards, on however many cores.
  int64_t shard_size = 32;
  uint64_t seed = 0;

  double learning_rate = 1.5e-3;
  int64_t warmup_images = 32'000;
  double decay_fraction = 0.5;  // the last part of the run, over which the rate falls linearly to zero
  double beta1 = 0.9, beta2 = 0.99, adam_eps = 1e-8, weight_decay = 0.0;
  double max_gradient_norm = 1.0;
  double ema_decay = 0.999;  // per step

  double class_dropout = 0.1;
  double balance_weight = 0.01;
  double time_location = 0.5, time_scale = 1.2;  // t = sigmoid(location + scale * n), n normal
  double min_time = 0.05;  // clean-image prediction: 1/t (1/sigma) in the velocity loss is at most 1/min_time
  bool bf16 = true;        // products in bf16 where the processor has them; fp32 masters always

  void validate() const;  // throws std::invalid_argument naming the field
  bool operator==(const Recipe&) const = default;

  /// All fields but `data`.
  template <class Self, class Visitor>
  static void for_each_field(Self& r, Visitor visit) {
    visit("model", r.model, "model preset");
    visit("image_size", r.image_size,
          "side of the images, a multiple of the model's patches; 0: the model preset's");
    visit("flip", r.flip, "mirror half of the images");
    visit("images", r.images, "images to train on");
    visit("batch_size", r.batch_size, "images per step");
    visit("shard_size", r.shard_size, "on a CPU, images per shard of a step");
    visit("seed", r.seed, "seed of initialisation, noise, times and class dropout");
    visit("learning_rate", r.learning_rate, "peak learning rate");
    visit("warmup_images", r.warmup_images, "images of linear warm-up");
    visit("decay_fraction", r.decay_fraction, "last part of the run with linear decay to zero");
    visit("beta1", r.beta1, "AdamW beta 1");
    visit("beta2", r.beta2, "AdamW beta 2");
    visit("adam_eps", r.adam_eps, "AdamW epsilon");
    visit("weight_decay", r.weight_decay, "AdamW weight decay");
    visit("max_gradient_norm", r.max_gradient_norm, "gradients are clipped to this norm");
    visit("ema_decay", r.ema_decay, "decay per step of the averaged weights");
    visit("class_dropout", r.class_dropout, "share of images trained without their class");
    visit("balance_weight", r.balance_weight, "weight of the load-balance loss");
    visit("time_location", r.time_location, "location of the logit-normal times");
    visit("time_scale", r.time_scale, "scale of the logit-normal times");
    visit("min_time", r.min_time, "smallest t (or sigma) in the 1/t weight of clean-image prediction");
    visit("bf16", r.bf16, "compute in bf16 where the processor has it");
  }

  int64_t steps() const { return (images + batch_size - 1) / batch_size; }

  /// The learning rate of step 0 .. steps() - 1. The warm-up counts from `first_step`, where the optimiser's
  /// moments were zero: not 0 in a run that goes on from a model's weights alone.
  double learning_rate_at(int64_t step, int64_t first_step = 0) const;
};

nlohmann::json to_json(const Recipe& recipe);

/// The model that is trained, but for its classes, which are those of the data. Throws std::invalid_argument.
dit::ModelConfig model_config(const Recipe& recipe);

/// The settings that its model file is given: of the solids, those that were measured on the embedded model
/// (docs/evaluation.md), with so many steps; else null.
nlohmann::json settings_of(const Recipe& recipe, int steps = 40);

/// Recipes by name: "solids", the embedded model's; "solids-switch", a Switch-DiT of the same pictures with the
/// diffusion prior; "pictures", for anybody's images; and "tiny", seconds long, for tests and first tries.
Recipe recipe(std::string_view name);
std::vector<std::string_view> recipe_names();

}  // namespace switchyard::train

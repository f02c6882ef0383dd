// What a generated image says about itself: text entries of its PNG from which the image can be drawn again.
//
// Two entries. "parameters" is the text that other image tools show (the layout of AUTOMATIC1111's web UI:
// the class name in place of the prompt, then "Steps: 25, Sampler: Euler, CFG scale: 2, Seed: 7, Size: 64x64,
// ..."). "switchyard" is ours, one line of JSON that holds everything that decides the pixels:
//   {"version": 3, "model": {"name", "hash", "weights", "objective", "experts_per_token", "num_heads",
//    "products"}, "decoder": {"name", "hash"} or null, "image_size", "dtype", "class", "class_name", "seed",
//    "settings": {the fields with meaning, see settings.h},
//    "recipe": the routing recipe as far as it speaks of this image}
// "products" and "recipe" are left out where there are none. Versions 1, which had fewer settings, and 2, which
// had all of them whatever the model, are read as well: what is not there was at its default.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "dit/config.h"
#include "io/png.h"
#include "pipeline/request.h"

namespace switchyard::pipeline {

/// The model that drew an image.
struct Provenance {
  std::string model_name;  // "solids"
  std::string model_hash;  // see model_hash()
  /// In which it computed: "float32", "bfloat16", or "int8" (and bfloat16 around it).
  std::string dtype = "float32";
  std::string library = {};  // which multiplied, where the program had a choice; may be empty

  // What a file does not say and was given or assumed; empty and 0 in images of version 1.
  std::string weights = {};    // "ema", "model", or empty where the file has no choice
  std::string objective = {};  // "linear:noise_and_variance"
  int64_t experts_per_token = 0, num_heads = 0;
  std::string decoder_name = {}, decoder_hash = {};  // of a latent model
  int64_t image_size = 0;                            // side of the images, pixels

  bool operator==(const Provenance&) const = default;
};

/// What differs between the models of an image then and now, so that its pixels will: {"decoder", "a", "b"}. What is
/// not known of one of them (a hash, what images of version 1 do not say) differs from nothing. But for the dtype.
struct Difference {
  std::string what, then, now;
};
std::vector<Difference> differences(const Provenance& then, const Provenance& now);

/// An image as its PNG describes it.
struct StoredImage {
  Provenance model;
  Image image;
  std::string class_name;  // empty if the model names no classes
  Settings settings = {};
  nlohmann::ordered_json recipe = nlohmann::ordered_json::array();  // for recipe_from_json()
};

/// The text entries for io::write_png, "parameters" first; `recipe` as recipe_of_image() has it. Bytes of names
/// that are no UTF-8 are replaced. Throws std::invalid_argument for a label outside the model's, and settings that
/// nothing can be drawn with.
io::TextEntries image_text(const Provenance& model, const dit::ModelConfig& config, const Settings& settings,
                           const Image& image, const RoutingRecipe& recipe = {});

/// The way back, exact to the last bit of every number; only our own entry is read. Throws io::InputError
/// naming `source` and what is wrong: no such entry, not JSON, another version, a field missing, unknown, of
/// the wrong type or out of range.
StoredImage read_image_text(const io::TextEntries& text, const std::string& source);

/// A model as its images' own entry names it: the members "model", "decoder", "image_size" and "dtype".
nlohmann::ordered_json origin_json(const Provenance& model);

/// The first ten hex digits of the file's SHA-256, the short hash by which other image tools name models.
/// The path form throws io::InputError where the file cannot be read.
/// Empty where it was told to stop.
std::string model_hash(const std::filesystem::path& file, const std::stop_token& stop = {});
std::string model_hash(std::span<const std::byte> file, const std::stop_token& stop = {});

}  // namespace switchyard::pipeline

// What `switchyard sample` is asked for: its options, and the request that they make.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "app/cli/model_argument.h"
#include "dit/config.h"
#include "pipeline/metadata.h"
#include "pipeline/request.h"
#include "pipeline/session.h"
#include "pipeline/settings_text.h"

namespace switchyard::app {

// How to draw. What is not given comes from the image of --from, or else is the default.
struct DrawingOptions {
  ModelOptions model;
  std::filesystem::path vae, from, edit;
  std::optional<std::string> quality, dtype;
  pipeline::GivenSettings settings;
  std::string device = "auto", products = "auto";
  int64_t batch = 16;
};

// A set of images, which can be filled on after any end: see pipeline/image_set.h.
struct SetOptions {
  std::filesystem::path folder, npz, list;
  std::string balance = "equal", shard;
  bool json = false, routing_stats = false;

  /// Throws std::invalid_argument where others of them are given without a place for the set.
  bool asked() const;
};

struct SampleOptions : DrawingOptions {
  std::filesystem::path out = ".", grid, routing, map;
  std::vector<std::string> classes;
  std::optional<int64_t> seed;
  int64_t count = 1, zoom = 1;
  std::optional<int64_t> columns;
  bool no_images = false, quiet = false;
  SetOptions set;
};

inline constexpr int64_t kMaxImages = 10'000'000;  // of one call

/// The image of --from, where one is given.
using Stored = std::optional<pipeline::StoredImage>;

/// Adds every option of `sample`; each writes into `options`.
void add_sample_options(CLI::App& command, SampleOptions& options);

/// The part of them that says how to draw.
void add_drawing_options(CLI::App& command, DrawingOptions& options);

/// How to draw.
struct ChosenSettings {
  pipeline::Settings settings;  // without what has no meaning for the model
  std::string sentence;         // "settings of the model: euler_stochastic, 40 steps, shift 3, guidance 1.5"
  std::vector<std::pair<pipeline::Field, std::string>> dropped;  // as pipeline::drop_idle() says
};

/// How to draw, in which precision, and what. They throw std::invalid_argument, with the near misses, for
/// what is unknown or out of range, and io::InputError where the image of --from, or the model's file, asks for
/// what the model does not have. Settings are those of the options; then of the image of --from; then what
/// --quality chooses; then those that the model's `file` carries.
ChosenSettings settings_of(const DrawingOptions& options, const Stored& stored, const dit::ModelFile& file);
pipeline::SessionOptions session_options(const DrawingOptions& options, const Stored& stored = {});
pipeline::RoutingRecipe recipe_of(const DrawingOptions& options, const Stored& stored,
                                  const dit::ModelConfig& config);
uint64_t first_seed_of(const SampleOptions& options, const Stored& stored);
std::vector<pipeline::Image> images_of(const SampleOptions& options, const Stored& stored,
                                       const dit::ModelConfig& config);

}  // namespace switchyard::app

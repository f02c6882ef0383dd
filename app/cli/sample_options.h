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
#include "kernels/linear/linear.h"
#include "pipeline/precision.h"
#include "pipeline/request.h"
#include "pipeline/metadata.h"

namespace switchyard::app {

// What is not given comes from the image of --from, or else is the default.
struct SampleOptions {
  ModelOptions model;
  std::filesystem::path vae, out = ".", grid, routing, map, from, edit;
  std::vector<std::string> classes;
  std::optional<uint64_t> seed;
  std::optional<int> steps;
  std::optional<double> shift, guidance, guidance_rescale, eta, churn, clip;
  std::optional<std::pair<double, double>> guidance_interval;
  std::optional<std::string> quality, solver, spacing, guidance_kind, dtype;
  std::optional<int64_t> weak_experts, guidance_channels;
  std::string device = "auto";
  int64_t count = 1, batch = 16, zoom = 1;
  std::optional<int64_t> columns;
  bool no_images = false, quiet = false;
};

/// The image of --from, where one is given.
using Stored = std::optional<pipeline::StoredImage>;

/// Adds every option of `sample`; each writes into `options`.
void add_sample_options(CLI::App& command, SampleOptions& options);

/// How to draw, in which precision, and what. They throw std::invalid_argument, with the near misses, for
/// what is unknown or out of range, and io::InputError where the image of --from asks for what the model does
/// not have. Where --quality chose, or the model's objective, `choice` becomes a sentence that says what.
pipeline::Settings settings_of(const SampleOptions& options, const Stored& stored,
                               const dit::ModelConfig& config, std::string& choice);
pipeline::Precision precision_of(const SampleOptions& options, const Stored& stored, at::Device device);
pipeline::RoutingRecipe recipe_of(const SampleOptions& options, const Stored& stored,
                                  const dit::ModelConfig& config);
std::vector<pipeline::Image> images_of(const SampleOptions& options, const Stored& stored,
                                       const dit::ModelConfig& config);

}  // namespace switchyard::app

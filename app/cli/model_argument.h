// The model that a command works with: a file, or the one inside the program.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>

#include "pipeline/model_source.h"

namespace switchyard::app {

struct ModelOptions {
  std::filesystem::path file;  // empty: the embedded model
  std::string weights;         // "ema" or "model"; empty: ema if it is there
  std::string objective;       // "SCHEDULE" or "SCHEDULE:PREDICTION"; empty: as the file says
  int64_t experts_per_token = 0, num_heads = 0, num_classes = 0;  // 0: as the file says
};

/// Throws std::invalid_argument, with the near misses, for an unknown objective.
pipeline::ModelSource source_of(const ModelOptions& options);

/// Adds --model (with `positional`, also as the first argument) and the options of add_reading_options.
void add_model_options(CLI::App& command, ModelOptions& options, bool positional = false);

/// Adds --weights, --objective, --experts-per-token, --heads and --num-classes.
void add_reading_options(CLI::App& command, ModelOptions& options);

}  // namespace switchyard::app

// The model that a command works with (a file, or the one inside the program) and how people name its
// classes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dit/model_file.h"

namespace switchyard::app {

struct ModelOptions {
  std::filesystem::path file;  // empty: the embedded model
  std::string weights;         // "ema" or "model"; empty: ema if it is there
  std::string objective;       // "SCHEDULE" or "SCHEDULE:PREDICTION"; empty: as the file says
  int64_t experts_per_token = 0, num_heads = 0;  // 0: as the file says
};

class ModelArgument {
 public:
  explicit ModelArgument(ModelOptions options) : options_(std::move(options)), file_(options_.file) {}

  std::string name() const;   // "solids"; of a file, its name without extension
  std::string where() const;  // for people: the path, or that it is embedded
  int64_t bytes() const;      // size of the file
  std::string hash() const;   // pipeline::model_hash

  /// Throws io::InputError, and std::invalid_argument, with the near misses, for an unknown objective.
  dit::ModelFile open() const;

  /// The same, for a command that computes with the model: throws io::InputError for a file that leaves
  /// something to guess.
  dit::ModelFile open_for_use() const;

 private:
  ModelOptions options_;
  std::filesystem::path file_;
};

/// Adds --model (with `positional`, also as the first argument) and the options of add_reading_options.
void add_model_options(CLI::App& command, ModelOptions& options, bool positional = false);

/// Adds --weights, --objective, --experts-per-token and --heads.
void add_reading_options(CLI::App& command, ModelOptions& options);

/// The labels that `names` mean, in that order, each once. A name is a class's name or a unique beginning of
/// it (without case), its index, or "all"; no names mean all. Throws std::invalid_argument with the near
/// misses.
std::vector<int64_t> find_classes(const dit::ModelConfig& config, const std::vector<std::string>& names);

/// The class as part of a file name: "box-frame" for "box frame"; "class-7" where the model gives no usable
/// name.
std::string class_file_name(const dit::ModelConfig& config, int64_t label);

}  // namespace switchyard::app

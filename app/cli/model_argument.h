// The model that a command works with (a file, or the one inside the program) and how people name its
// classes.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "dit/checkpoint.h"
#include "io/safetensors.h"

namespace switchyard::app {

class ModelArgument {
 public:
  explicit ModelArgument(std::filesystem::path file) : file_(std::move(file)) {}  // empty: the embedded model

  std::string name() const;   // "solids"; of a file, its name without extension
  std::string where() const;  // for people: the path, or that it is embedded
  int64_t bytes() const;      // size of the file
  std::string hash() const;   // pipeline::model_hash

  /// These throw io::InputError.
  dit::LoadedModel load(at::ScalarType dtype) const;
  io::TensorFile tensors() const;

 private:
  std::filesystem::path file_;
};

/// Adds --model.
void add_model_option(CLI::App& command, std::filesystem::path& file);

/// The labels that `names` mean, in that order, each once. A name is a class's name or a unique beginning of
/// it (without case), its index, or "all"; no names mean all. Throws std::invalid_argument with the near
/// misses.
std::vector<int64_t> find_classes(const dit::ModelConfig& config, const std::vector<std::string>& names);

/// The class as part of a file name: "box-frame" for "box frame"; "class-7" where the model gives no usable
/// name.
std::string class_file_name(const dit::ModelConfig& config, int64_t label);

}  // namespace switchyard::app

// One case of the reference numbers in tests/fixtures: a model, inputs, and what the official code computed
// from them.
//
// A folder FIXTURES/dit_moe (or FIXTURES itself) holds for each case NAME.json (configuration and notes),
// NAME.weights.safetensors (the official state dict) and NAME.io.safetensors (inputs and expected outputs).
// FIXTURES is the environment's SWITCHYARD_FIXTURES, by default the folder in this repository. Nothing of a
// case is known here: sizes, experts, steps and key styles come from its files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dit/transformer.h"

namespace switchyard::dit {

std::filesystem::path parity_folder();

/// The names of all cases in parity_folder(), in order; a case of which any file is there counts.
std::vector<std::string> parity_case_names();

struct ParityCase {
  std::string name;
  nlohmann::json json;
  ModelConfig config;
  std::map<std::string, at::Tensor> weights, io;

  /// Throws std::runtime_error or io::InputError for a missing or unreadable file, or a missing field.
  static ParityCase load(const std::string& name);

  /// Throws std::runtime_error naming the tensor that the case lacks.
  const at::Tensor& recorded(const std::string& tensor) const;

  /// The model with the recorded weights, in its training form or packed for inference.
  DiffusionTransformer model(bool packed) const;
};

/// max |actual - expected| / max |expected|; infinite for another shape or a value that is not finite.
double relative_error(const at::Tensor& actual, const at::Tensor& expected);

}  // namespace switchyard::dit

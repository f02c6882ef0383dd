// One case of the solver fixtures: a scheduler's full configuration, the noise it was given, and every state
// that the reference code went through with the exact denoiser of a Gaussian mixture.
//
// A folder FIXTURES/solvers (or FIXTURES itself) holds cases.json, the tensors of each case, and the
// mixtures. FIXTURES is the environment's SWITCHYARD_FIXTURES, by default the folder in this repository.
// Nothing of a case is known here: schedules, steps, settings and sizes come from its files.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mixture.h"

namespace switchyard::sampler {

std::filesystem::path parity_folder();

/// The cases' names in cases.json, such as "diffusers/heun"; none if there is no such file.
std::vector<std::string> parity_case_names();

/// A JSON file of the folder. Throws std::runtime_error if it cannot be read.
nlohmann::json parity_json(const std::string& file);

/// A safetensors file of the folder.
std::map<std::string, at::Tensor> parity_tensors(const std::string& file);

/// mixture_NAME.safetensors.
Mixture parity_mixture(const std::string& name);

/// max |actual - expected| / max |expected|; infinite for another shape or a value that is not finite.
double relative_error(const at::Tensor& actual, const at::Tensor& expected);

struct ParityCase {
  std::string name;
  nlohmann::json json;
  std::map<std::string, at::Tensor> tensors;
  Mixture mixture;

  static ParityCase load(const std::string& name);

  bool has(const std::string& tensor) const { return tensors.contains(tensor); }

  /// Throws std::runtime_error naming the tensor that the case lacks.
  const at::Tensor& recorded(const std::string& tensor) const;
  std::vector<double> numbers(const std::string& tensor) const;
};

/// How the case is solved here.
struct Solution {
  Problem problem = {};    // without a denoiser and draws
  double start_scale = 1;  // the state here / the recorded state: alpha where it holds x_0 + sigma noise
  std::function<std::optional<at::Tensor>(const Problem&, at::Tensor)> solve = {};
};

/// Translates the scheduler's configuration. Throws std::runtime_error naming a setting that is not known
/// here.
Solution run_of(const ParityCase& c);

}  // namespace switchyard::sampler

// One case of the reference numbers in tests/fixtures: a model, inputs, and what the official code computed
// from them.
//
// Each of the folders FIXTURES/dit, dit_moe, switch_dit and sit (or, where there is none of them, FIXTURES itself)
// holds for each case NAME.json (configuration and notes), NAME.weights.safetensors (the official state dict)
// and NAME.io.safetensors (inputs and expected outputs). FIXTURES is the environment's SWITCHYARD_FIXTURES,
// by default the folder in this repository. Nothing of a case is known here: families, sizes, experts, steps
// and key styles come from its files.
#pragma once

#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dit/transformer.h"

namespace switchyard::dit {

struct CaseName {
  std::filesystem::path folder;
  std::string name;
  std::string topic;                  // the folder's name
  std::string family;                 // as its json says; empty where that cannot be read
  std::vector<std::string> recorded;  // the keys of its json
};
void PrintTo(const CaseName& name, std::ostream* out);

/// Every case in the fixture folders, in order; a case of which any file is there counts.
std::vector<CaseName> parity_cases();
std::vector<CaseName> parity_cases_of(std::initializer_list<std::string_view> families);

/// A name for the test of a case: letters, digits and _ alone; the index keeps names apart.
std::string test_name(const ::testing::TestParamInfo<CaseName>& instance);

/// Where cases were looked for, for messages.
std::string searched_folders();

struct ParityCase {
  std::string name;
  nlohmann::json json;
  ModelConfig config;
  std::map<std::string, at::Tensor> weights, io;

  /// Times and answers are those of our convention. Throws std::runtime_error or io::InputError for a missing or unreadable file, or a missing field.
  static ParityCase load(const CaseName& name);

  /// Throws std::runtime_error naming the tensor that the case lacks.
  const at::Tensor& recorded(const std::string& tensor) const;

  /// The model with the recorded weights, in its training form or packed for inference.
  DiffusionTransformer model(bool packed) const;
};

/// The first channels of a model's answer, as many as were recorded: SiT's code leaves out the unused half.
at::Tensor recorded_channels(const at::Tensor& answer, const at::Tensor& expected);

/// max |actual - expected| / max |expected|; infinite for another shape or a value that is not finite.
double relative_error(const at::Tensor& actual, const at::Tensor& expected);

// The limits of the fixtures' README.
inline constexpr double kForwardLimit = 2e-5, kGradientLimit = 1e-4, kStepLimit = 2e-4;
inline constexpr double kTie = 1e-5;  // where probabilities are nearer than this, either choice is right

constexpr const char* form(bool packed) { return packed ? " (packed)" : ""; }

/// A test of one case: each comparison prints its worst error beside its limit.
class ParityTest : public ::testing::TestWithParam<CaseName> {
 protected:
  void SetUp() override { c_ = ParityCase::load(GetParam()); }

  void expect_within(const std::string& topic, double worst, double limit) const;

  /// Compares the gradients (of model.parameters(), in order) with the recorded ones, "grad.NAME".
  void expect_gradients(const std::vector<at::Tensor>& gradients) const;

  ParityCase c_;
};

}  // namespace switchyard::dit

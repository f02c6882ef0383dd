// Official checkpoints in the forms that people download: each file of the fixture folder opens as the same
// model.
//
// FIXTURES/checkpoints holds *.pt files with state dicts of the weights that README.json's "from" names; of a
// training checkpoint, "ema" holds those and "model" others. Files that hold no model are passed over by what
// open_model says.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "dit/model_file.h"
#include "io/error.h"
#include "io/safetensors.h"
#include "parity_case.h"

namespace switchyard::dit {
namespace {

std::filesystem::path checkpoint_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given != nullptr && *given != 0 ? given : SWITCHYARD_FIXTURE_DIR;
  return fixtures / "checkpoints";
}

// The *.pt files that stand for the weights of "from": those without expected tensors of their own.
std::vector<std::string> checkpoint_names() {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint_folder(), none)) {
    const auto& path = entry.path();
    const auto expected = checkpoint_folder() / (path.stem().string() + ".expected.safetensors");
    if (path.extension() == ".pt" && !std::filesystem::exists(expected))
      names.push_back(path.stem().string());
  }
  std::ranges::sort(names);
  return names;
}

class CheckpointParity : public ::testing::TestWithParam<std::string> {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CheckpointParity);  // another fixture folder may hold none
INSTANTIATE_TEST_SUITE_P(Files, CheckpointParity, ::testing::ValuesIn(checkpoint_names()),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
                           return name + "_" + std::to_string(instance.index);
                         });

TEST_P(CheckpointParity, HoldsTheSourcesWeights) {
  std::ifstream stream(checkpoint_folder() / "README.json");
  const auto from = nlohmann::json::parse(stream).at("from").get<std::string>();
  auto expected = io::read_safetensors(checkpoint_folder() / from.substr(0, from.find(' '))).tensors;
  OpenOptions options;
  options.hints.num_heads = 1;  // any: the tensors do not tell it
  const auto file = open_model(checkpoint_folder() / (GetParam() + ".pt"), options);
  EXPECT_EQ(file.format, "PyTorch");
  require_fitting_tensors(file);
  const auto state = make_model(file).state_dict();
  double worst = 0;
  for (const auto& [name, tensor] : state) {
    const auto stored = file.tensors.find(name);
    ASSERT_NE(stored, file.tensors.end()) << name;
    worst = std::max(worst, relative_error(tensor, expected.at(name).to(stored->second.scalar_type())));
  }
  // "model" holds every value + 1, so that taking the wrong one is caught.
  std::printf("checkpoints/%s, weights \"%s\": worst %.2g (limit 0)\n", GetParam().c_str(),
              file.weights.c_str(), worst);
  EXPECT_EQ(worst, 0);
}

TEST_P(CheckpointParity, WeightsCanBeChosen) {
  const auto path = checkpoint_folder() / (GetParam() + ".pt");
  OpenOptions options;
  options.hints.num_heads = 1;
  const auto usual = open_model(path, options);
  if (usual.weights != "ema") GTEST_SKIP() << "one set of weights";
  options.weights = "model";
  const auto other = open_model(path, options);
  EXPECT_EQ(other.weights, "model");
  EXPECT_FALSE(at::equal(other.tensors.begin()->second, usual.tensors.begin()->second));
  options.weights = "optimiser";
  EXPECT_THROW(open_model(path, options), io::InputError);
}

}  // namespace
}  // namespace switchyard::dit

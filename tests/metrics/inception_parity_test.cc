// Inception with weights by formula against recorded outputs of pytorch-fid, torch-fidelity and clean-fid (computed
// in float64).
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "../kernels/compare.h"
#include "formula_weights.h"
#include "io/safetensors.h"
#include "metrics/inception.h"

namespace switchyard::metrics {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, at::Tensor>;

fs::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const fs::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  return fs::is_directory(fixtures / "metrics") ? fixtures / "metrics" : fixtures;
}

nlohmann::json facts() {
  std::ifstream stream(parity_folder() / "inception.json");
  return nlohmann::json::parse(stream);
}

TEST(InceptionParity, WeightsByFormula) {
  const auto expected = facts();
  for (const auto& vector : expected.at("test_vectors")) {
    const std::string name = vector.at("name");
    const auto tensor = formula_tensor(name, vector.at("shape").get<std::vector<int64_t>>());
    const auto value = tensor.flatten()[vector.at("index").get<int64_t>()].item<float>();
    EXPECT_EQ(value, static_cast<float>(vector.at("value").get<double>())) << name;
  }
}

std::vector<at::Tensor> pictures(const at::Tensor& images) {  // uint8 [N, 3, H, W]
  return images.permute({0, 2, 3, 1}).contiguous().unbind();
}

// Everything that is recorded of one pipeline for one set of images, as this network has it.
Tensors outputs_of(const Inception& network, const std::vector<at::Tensor>& images, const Tensors& expected) {
  Tensors outputs;
  const std::map<std::string, std::string> averaged = {
      {"MaxPool_1", "64"}, {"MaxPool_2", "192"}, {"Mixed_6e", "768"}};
  const auto append = [&](const std::string& name, const at::Tensor& part) {
    auto& whole = outputs[name];
    whole = whole.defined() ? at::cat({whole, part}) : part.clone();
  };
  const auto result = network.observed(images, [&](const std::string& module, const at::Tensor& output) {
    if (const auto tap = averaged.find(module); tap != averaged.end())
      append(tap->second, output.mean({2, 3}));
    if (module == "input") append("input", output);
  });
  outputs["2048"] = result.features;
  outputs["logits_unbiased"] = result.logits;
  outputs["logits"] = result.logits + network.logit_bias();
  for (const auto& [name, tensor] : expected) {
    if (name == "spatial") outputs[name] = result.spatial.view(tensor.sizes());
  }
  const auto& input = outputs.at("input");
  const int64_t middle = (input.size(2) - 16) / 2, last = input.size(2) - 16;
  for (const auto& [name, at] :
       std::map<std::string, int64_t>{{"top_left", 0}, {"middle", middle}, {"bottom_right", last}})
    outputs["input_" + name + "_16"] = input.narrow(2, at, 16).narrow(3, at, 16);
  return outputs;
}

class InceptionParity : public ::testing::TestWithParam<std::pair<const char*, InceptionInput>> {};

INSTANTIATE_TEST_SUITE_P(Pipelines, InceptionParity,
                         ::testing::Values(std::pair{"pytorch_fid", InceptionInput::pytorch_fid},
                                           std::pair{"torch_fidelity", InceptionInput::torch_fidelity},
                                           std::pair{"clean_fid", InceptionInput::clean_fid}),
                         [](const auto& instance) { return std::string(instance.param.first); });

TEST_P(InceptionParity, Outputs) {
  const double limit = facts().at("tolerance_rel_to_max");
  const auto images = io::read_safetensors(parity_folder() / "inception_images.safetensors").tensors;
  const auto recorded = io::read_safetensors(parity_folder() / "inception_expected.safetensors").tensors;
  const auto [pipeline, input] = GetParam();
  const Inception network(input, formula_inception(parity_folder()), at::kCPU);
  int compared = 0;
  for (const auto& [set, tensor] : images) {  // "small.images"
    const auto prefix = set.substr(0, set.find('.')) + "." + pipeline + ".";
    Tensors expected;
    for (const auto& [name, value] : recorded) {
      // The convolution before its normalisation does not exist where both are one.
      if (name.starts_with(prefix) && !name.ends_with("raw_conv"))
        expected[name.substr(prefix.size())] = value;
    }
    const auto outputs = outputs_of(network, pictures(tensor), expected);
    double worst = 0;
    for (const auto& [name, value] : expected) {
      ASSERT_TRUE(outputs.contains(name)) << "nothing here computes the recorded " << prefix << name;
      const double error = kernels::relative_error(outputs.at(name), value);
      EXPECT_LE(error, limit) << prefix << name;
      worst = std::max(worst, error);
      ++compared;
    }
    std::printf("metrics/inception %s: worst %.2g (limit %.2g)\n", prefix.c_str(), worst, limit);
  }
  EXPECT_GT(compared, 0) << "no outputs of " << pipeline << " are recorded in " << parity_folder();
}

}  // namespace
}  // namespace switchyard::metrics

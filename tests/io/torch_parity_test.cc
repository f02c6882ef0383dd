// The PyTorch files of the fixture folder against the same tensors in safetensors, bit for bit.
//
// FIXTURES/checkpoints holds *.pt files: NAME.pt beside NAME.expected.safetensors holds (at least) those
// tensors; each other one holds state dicts of the weights that README.json's "from" names, in any of the
// forms that people download. FIXTURES is the environment's SWITCHYARD_FIXTURES, by default the folder in
// this repository.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "io/torch_file.h"

namespace switchyard::io {
namespace {

std::filesystem::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const std::filesystem::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  const auto folder = fixtures / "checkpoints";
  return std::filesystem::is_directory(folder) ? folder : fixtures;
}

std::vector<std::string> case_names() {
  std::vector<std::string> names;
  std::error_code no_folder;
  for (const auto& entry : std::filesystem::directory_iterator(parity_folder(), no_folder))
    if (entry.is_regular_file() && is_torch_file(entry.path()))
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

using Tensors = std::map<std::string, at::Tensor>;

// The tensors of one dict, without the prefix of distributed training.
Tensors tensors_of(const TorchValue& dict) {
  Tensors tensors;
  for (const TorchItem& item : dict.items()) {
    if (item.value.kind != TorchValue::Kind::tensor) continue;
    const std::string& name = item.key.string();
    tensors.emplace(name.starts_with("module.") ? name.substr(7) : name, item.value.tensor());
  }
  return tensors;
}

// The weights that the training files hold, by the first word of README.json's "from".
Tensors source_weights() {
  std::ifstream stream(parity_folder() / "README.json");
  const std::string from = nlohmann::json::parse(stream).at("from").get<std::string>();
  return read_safetensors(parity_folder() / from.substr(0, from.find(' '))).tensors;
}

// How many of the expected tensors are there with the same dtype, shape and bytes.
int equal_tensors(const Tensors& found, const Tensors& expected) {
  int equal = 0;
  for (const auto& [name, tensor] : expected) {
    const auto at = found.find(name);
    if (at == found.end()) {
      ADD_FAILURE() << name << " is missing";
    } else if (at->second.scalar_type() != tensor.scalar_type() || !at::equal(at->second, tensor)) {
      ADD_FAILURE() << name << " differs: expected " << tensor.toString() << tensor.sizes() << ", found "
                    << at->second.toString() << at->second.sizes();
    } else {
      ++equal;
    }
  }
  return equal;
}

Tensors as_stored(const Tensors& weights, double added, at::ScalarType dtype) {
  Tensors stored;
  for (const auto& [name, tensor] : weights) stored[name] = (tensor + added).to(dtype);
  return stored;
}

class TorchParityTest : public ::testing::TestWithParam<std::string> {};

TEST(TorchParityFixtures, FolderHoldsCases) {
  EXPECT_FALSE(case_names().empty()) << "no PyTorch file in " << parity_folder();
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, TorchParityTest, ::testing::ValuesIn(case_names()),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           for (char& letter : name)
                             letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
                           return name + "_" + std::to_string(instance.index);
                         });

TEST_P(TorchParityTest, HoldsTheExpectedTensors) {
  const auto path = parity_folder() / GetParam();
  const TorchValue file = read_torch_file(path);
  ASSERT_TRUE(file.has_items());
  const auto print = [&](const char* part, int equal, std::size_t all) {
    std::printf("checkpoints/%s %s: %d of %zu tensors equal bit for bit\n", GetParam().c_str(), part, equal,
                all);
  };

  const auto expected = std::filesystem::path(path).replace_extension(".expected.safetensors");
  if (std::filesystem::exists(expected)) {
    const Tensors tensors = read_safetensors(expected).tensors;
    print("views", equal_tensors(tensors_of(file), tensors), tensors.size());
    return;
  }

  const Tensors weights = source_weights();
  ASSERT_FALSE(weights.empty());
  const TorchValue *ema = file.find("ema"), *model = file.find("model");
  const auto compare = [&](const char* part, const TorchValue& dict, double added) {
    const Tensors found = tensors_of(dict);
    ASSERT_EQ(found.size(), weights.size());
    const auto dtype = found.begin()->second.scalar_type();
    print(part, equal_tensors(found, as_stored(weights, added, dtype)), weights.size());
  };
  // Beside an ema, the model's values are one larger, so that a reader that takes the wrong one is caught.
  if (ema != nullptr) compare("ema", *ema, 0);
  if (model != nullptr) compare("model", *model, ema != nullptr ? 1 : 0);
  if (ema == nullptr && model == nullptr) compare("bare", file, 0);
}

}  // namespace
}  // namespace switchyard::io

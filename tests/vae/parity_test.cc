// The autoencoder against numbers of the reference implementation.
//
// FIXTURES/vae (or FIXTURES itself; FIXTURES is the environment's SWITCHYARD_FIXTURES, by default the folder
// in this repository) holds inputs.safetensors, expected.safetensors, and folders with a config.json and
// weight files of any name: each weight file is a case. A folder without config.json may hold
// attention_tensors.safetensors, other forms of the same attention weights. Nothing of a case is known here.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "io/safetensors.h"
#include "random_autoencoder.h"
#include "vae/checkpoint.h"

namespace switchyard::vae {
namespace {

namespace fs = std::filesystem;

constexpr double kLimit = 1e-4;  // of the fixtures' README, for fp32
// bf16 against fp32 with the weights rounded to bf16: how much an autoencoder amplifies rounding is its own.
constexpr double kBfloatFactor = 5;

fs::path parity_folder() {
  const char* given = std::getenv("SWITCHYARD_FIXTURES");
  const fs::path fixtures = given && *given ? given : SWITCHYARD_FIXTURE_DIR;
  return fs::is_directory(fixtures / "vae") ? fixtures / "vae" : fixtures;
}

std::vector<fs::path> folders_with(const char* file) {
  std::vector<fs::path> folders;
  std::error_code no_folder;
  for (const auto& entry : fs::directory_iterator(parity_folder(), no_folder)) {
    if (fs::exists(entry.path() / file)) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::vector<std::string> weight_files() {  // relative to parity_folder()
  std::vector<std::string> files;
  for (const auto& folder : folders_with("config.json")) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const auto extension = entry.path().extension();
      if (extension == ".safetensors" || extension == ".bin")
        files.push_back((folder.filename() / entry.path().filename()).string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

struct Numbers {
  std::map<std::string, at::Tensor> inputs =
      io::read_safetensors(parity_folder() / "inputs.safetensors").tensors;
  std::map<std::string, at::Tensor> expected =
      io::read_safetensors(parity_folder() / "expected.safetensors").tensors;

  // The inputs NAME for which the output NAME + suffix is recorded.
  std::vector<std::string> with_output(const std::string& suffix) const {
    std::vector<std::string> names;
    for (const auto& [name, tensor] : inputs) {
      if (expected.contains(name + suffix)) names.push_back(name);
    }
    return names;
  }
};

void expect_within(const std::string& topic, double worst, double limit) {
  std::printf("vae/%s: worst %.2g (limit %.2g)\n", topic.c_str(), worst, limit);
  EXPECT_LE(worst, limit) << topic;
}

// The worst error of each recorded output (but for the modules') over all inputs that have it.
std::map<std::string, double> errors_of(const Autoencoder& autoencoder) {
  const Numbers numbers;
  std::map<std::string, double> worst;
  const auto compare = [&](const at::Tensor& actual, const std::string& name, const std::string& output) {
    const double error = relative_error(actual, numbers.expected.at(name + "." + output));
    worst[output] = std::max(worst[output], error);
  };
  for (const auto& name : numbers.with_output(".mean")) {
    const auto posterior = autoencoder.encode(numbers.inputs.at(name));
    compare(posterior.mean, name, "mean");
    compare(posterior.logvar, name, "logvar");
    compare(autoencoder.scaled(posterior.sample(numbers.inputs.at(name + ".noise"))), name, "sample_scaled");
  }
  for (const auto& name : numbers.with_output(".image"))
    compare(autoencoder.decode(numbers.inputs.at(name)).value(), name, "image");
  EXPECT_EQ(worst.size(), 4u) << "expected mean, logvar, sample_scaled and image of some input";
  return worst;
}

void expect_recorded_outputs(const std::string& topic, const Autoencoder& autoencoder) {
  for (const auto& [output, error] : errors_of(autoencoder))
    expect_within(topic + " " + output, error, kLimit);
}

TEST(VaeParityFixtures, FolderHoldsCases) {
  EXPECT_FALSE(weight_files().empty())
      << "no folder with config.json and weights in " << parity_folder() << " or its folder vae";
}

class VaeParity : public ::testing::TestWithParam<std::string> {
 protected:
  fs::path weights() const { return parity_folder() / GetParam(); }
};

INSTANTIATE_TEST_SUITE_P(Files, VaeParity, ::testing::ValuesIn(weight_files()), [](const auto& instance) {
  std::string name = instance.param;
  for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  return name + "_" + std::to_string(instance.index);
});

TEST_P(VaeParity, Outputs) { expect_recorded_outputs(GetParam(), load_autoencoder(open_autoencoder(weights()))); }

TEST_P(VaeParity, OutputsInBfloat16) {
  auto file = open_autoencoder(weights());
  for (auto& [name, tensor] : file.tensors) tensor = tensor.to(at::kBFloat16);
  const auto rounded_weights = errors_of(load_autoencoder(file));
  for (const auto& [output, error] : errors_of(load_autoencoder(file, {.dtype = at::kBFloat16})))
    expect_within(GetParam() + " bf16 " + output, error, kBfloatFactor * rounded_weights.at(output));
}

// tap.MODULE is the output of that module for the first image of the first input.
TEST_P(VaeParity, EveryModule) {
  const Numbers numbers;
  const auto autoencoder = load_autoencoder(open_autoencoder(weights()));
  std::map<std::string, at::Tensor> modules;
  const Observer observer = [&](const std::string& module, const at::Tensor& output) {
    modules["tap." + module] = output.clone();
  };
  const auto first = [&](const std::vector<std::string>& names) {
    return numbers.inputs.at(names.at(0)).narrow(0, 0, 1);
  };
  autoencoder.encode(first(numbers.with_output(".mean")), observer);
  DecodeOptions options;
  options.observer = observer;
  autoencoder.decode(first(numbers.with_output(".image")), options);

  double worst = 0;
  int compared = 0;
  for (const auto& [name, expected] : numbers.expected) {
    if (!name.starts_with("tap.")) continue;
    ASSERT_TRUE(modules.contains(name)) << name;
    const double error = relative_error(modules.at(name), expected);
    EXPECT_LE(error, kLimit) << name;
    worst = std::max(worst, error);
    ++compared;
  }
  EXPECT_GT(compared, 0);
  expect_within(GetParam() + " " + std::to_string(compared) + " modules", worst, kLimit);
}

TEST_P(VaeParity, OutputsInBands) {
  const Numbers numbers;
  const auto autoencoder = load_autoencoder(open_autoencoder(weights()));
  DecodeOptions options;
  options.memory_limit = options.band_bytes = 1;  // bands of one row
  double worst = 0;
  int banded = 0;
  for (const auto& name : numbers.with_output(".image")) {
    const auto& z = numbers.inputs.at(name);
    banded += plan_decode(autoencoder.config(), z.size(0), z.size(2), z.size(3), at::kFloat, 1, 1).banded;
    worst = std::max(
        worst, relative_error(autoencoder.decode(z, options).value(), numbers.expected.at(name + ".image")));
  }
  expect_within(GetParam() + " image in bands (" + std::to_string(banded) + " inputs large enough for them)",
                worst, kLimit);
}

TEST(VaeParityAttention, OtherFormsOfTheSameWeights) {
  for (const auto& folder : folders_with("attention_tensors.safetensors")) {
    const auto attention = io::read_safetensors(folder / "attention_tensors.safetensors").tensors;
    int cases = 0;
    for (const auto& file : weight_files()) {
      if (!file.ends_with(".safetensors")) continue;
      auto tensors = io::read_safetensors(parity_folder() / file).tensors;
      if (!tensors.contains(attention.begin()->first)) continue;  // of the other key style
      for (const auto& [name, tensor] : attention) tensors.at(name) = tensor;
      const auto config = open_autoencoder(parity_folder() / file).config;
      expect_recorded_outputs(folder.filename().string() + " in " + file,
                              load_autoencoder({config, fitting_tensors(config, tensors, file)}));
      ++cases;
    }
    EXPECT_GT(cases, 0) << "no weight file has the tensors of " << folder;
  }
}

}  // namespace
}  // namespace switchyard::vae

// EfficientNet-Lite with its real weights against efficientnet-lite-pytorch, and DINOv2's transformer with weights by
// formula against tools/network_fixtures.py (which equals the release's own code to 1e-15 in float64).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "../io/scratch.h"
#include "../kernels/compare.h"
#include "formula_weights.h"
#include "io/safetensors.h"
#include "metrics/feature_network.h"

namespace switchyard::metrics {
namespace {

namespace fs = std::filesystem;
using Tensors = std::map<std::string, at::Tensor>;

constexpr double kLimit = 1e-5;

Tensors recorded() {
  return io::read_safetensors(fs::path(SWITCHYARD_FIXTURE_DIR) / "networks" / "features.safetensors").tensors;
}

// uint8 [H, W, 3] each.
std::map<std::string, std::vector<at::Tensor>> pictures() {
  std::map<std::string, std::vector<at::Tensor>> sets;
  for (const auto& [name, tensor] :
       io::read_safetensors(fs::path(SWITCHYARD_FIXTURE_DIR) / "metrics" / "inception_images.safetensors")
           .tensors)
    sets[name.substr(0, name.find('.'))] = tensor.permute({0, 2, 3, 1}).contiguous().unbind();
  for (const auto& [name, tensor] : recorded()) {
    if (name.ends_with(".images")) sets[name.substr(0, name.find('.'))] = tensor.unbind();
  }
  return sets;
}

// What is recorded as PREFIX.SET, for every set.
void expect_recorded_features(const FeatureNetwork& network, const std::string& prefix) {
  const auto expected = recorded();
  double worst = 0;
  for (const auto& [set, images] : pictures()) {
    const auto name = prefix + "." + set;
    ASSERT_TRUE(expected.contains(name)) << name << " is not recorded";
    worst = std::max(worst, kernels::relative_error(network(images).features, expected.at(name)));
  }
  std::printf("metrics/%s: worst %.2g (limit %.2g)\n", prefix.c_str(), worst, kLimit);
  EXPECT_LE(worst, kLimit);
}

class EfficientNetParity : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

INSTANTIATE_TEST_SUITE_P(Sizes, EfficientNetParity,
                         ::testing::Values(std::pair{"lite0", "efficientnet-lite0-57934424.pth"},
                                           std::pair{"lite2", "efficientnet-lite2-9656183e.pth"}),
                         [](const auto& instance) { return std::string(instance.param.first); });

TEST_P(EfficientNetParity, Features) {
  const auto [name, file] = GetParam();
  const auto path = fs::path(SWITCHYARD_NETWORK_DIR) / file;
  ASSERT_TRUE(fs::exists(path)) << path << " is missing; tools/setup.sh evaluate fetches it";
  const auto network = open_network(std::string("efficientnet-") + name, path);
  EXPECT_EQ(network->facts().warning, "");
  expect_recorded_features(*network, name);
}

class DinoV2Parity : public io::Scratch {};

TEST_F(DinoV2Parity, FeaturesOfASmallTransformer) {
  constexpr int64_t kWidth = 128, kDepth = 3;
  std::map<std::string, std::vector<int64_t>> shapes = {{"cls_token", {1, 1, kWidth}},
                                                        {"pos_embed", {1, 1 + 37 * 37, kWidth}},
                                                        {"patch_embed.proj.weight", {kWidth, 3, 14, 14}},
                                                        {"patch_embed.proj.bias", {kWidth}},
                                                        {"norm.weight", {kWidth}},
                                                        {"norm.bias", {kWidth}}};
  for (int64_t i = 0; i < kDepth; ++i) {
    const auto name = "blocks." + std::to_string(i) + ".";
    for (const char* vector : {"norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma",
                               "ls2.gamma", "attn.proj.bias", "mlp.fc2.bias"})
      shapes[name + vector] = {kWidth};
    shapes[name + "attn.qkv.weight"] = {3 * kWidth, kWidth};
    shapes[name + "attn.qkv.bias"] = {3 * kWidth};
    shapes[name + "attn.proj.weight"] = {kWidth, kWidth};
    shapes[name + "mlp.fc1.weight"] = {4 * kWidth, kWidth};
    shapes[name + "mlp.fc1.bias"] = {4 * kWidth};
    shapes[name + "mlp.fc2.weight"] = {kWidth, 4 * kWidth};
  }
  Tensors state;
  for (const auto& [name, shape] : shapes) {
    auto u = 2 * formula_numbers(name, c10::multiply_integers(shape)) - 1;
    if (shape.size() == 2 || shape.size() == 4) {
      u *= std::sqrt(3.0 / static_cast<double>(c10::multiply_integers(at::IntArrayRef(shape).slice(1))));
    } else if (name.ends_with("gamma") || (name.ends_with(".weight") && shape.size() == 1)) {
      u = 1 + 0.3 * u;
    }
    state[name] = u.to(at::kFloat).view(shape);
  }
  io::write_safetensors(file("vit.safetensors"), state);
  const auto network = open_network("dinov2", file("vit.safetensors"));
  EXPECT_TRUE(io::contains(network->facts().warning, "not ViT-L/14")) << "it is a small one";
  expect_recorded_features(*network, "vit");
}

}  // namespace
}  // namespace switchyard::metrics

// Feature networks: opening them by name and file, and what their features may depend on.
#include "metrics/feature_network.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "../io/scratch.h"
#include "../kernels/compare.h"
#include "formula_weights.h"
#include "io/error.h"
#include "io/safetensors.h"

namespace switchyard::metrics {
namespace {

namespace fs = std::filesystem;
using io::contains;
using io::message_of;

fs::path inception_file() { return formula_inception(fs::path(SWITCHYARD_FIXTURE_DIR) / "metrics"); }

at::Tensor picture(int64_t height, int64_t width, uint64_t seed) {
  return (kernels::random({height, width, 3}, seed) * 64 + 128).clamp(0, 255).to(at::kByte);
}

class FeatureNetworks : public io::Scratch {
 protected:
  void SetUp() override { ::setenv("SWITCHYARD_NETWORKS", file("").c_str(), 1); }
  void TearDown() override { ::unsetenv("SWITCHYARD_NETWORKS"); }
};

TEST_F(FeatureNetworks, AnUnknownNameIsAnsweredWithItsNearMisses) {
  const auto message = message_of<std::invalid_argument>([] { open_network("inception-pytorchfid"); });
  EXPECT_TRUE(contains(message, "unknown feature network \"inception-pytorchfid\""));
  EXPECT_TRUE(contains(message, "did you mean \"inception-pytorch-fid\""));
}

TEST_F(FeatureNetworks, OfAMissingFileItIsSaidWhatToPutWhere) {
  const std::map<std::string, std::string> files = {
      {"efficientnet-lite0", "efficientnet-lite0-57934424.pth"},
      {"efficientnet-lite2", "efficientnet-lite2-9656183e.pth"},
      {"inception-pytorch-fid", "pt_inception-2015-12-05-6726825d.pth"},
      {"inception-torch-fidelity", "pt_inception-2015-12-05-6726825d.pth"},
      {"inception-clean-fid", "pt_inception-2015-12-05-6726825d.pth"},
      {"dinov2", "dinov2_vitl14_pretrain.pth"}};
  EXPECT_EQ(files.size(), network_names().size());
  for (const auto& name : network_names()) {
    const auto message = message_of<io::InputError>([&] { open_network(name); });
    EXPECT_TRUE(contains(message, files.at(name)));
    EXPECT_TRUE(contains(message, file("").string()));
    EXPECT_EQ(message.find('\n'), message.npos) << "more than one sentence";
  }
}

TEST_F(FeatureNetworks, FilesAreFoundUnderEveryPublishedName) {
  fs::create_symlink(inception_file(), file("weights-inception-2015-12-05-6726825d.pth"));
  EXPECT_EQ(open_network("inception-pytorch-fid")->facts().file, "weights-inception-2015-12-05-6726825d.pth");
}

TEST_F(FeatureNetworks, AnotherChecksumIsAWarning) {
  const auto facts = open_network("inception-clean-fid", inception_file())->facts();
  EXPECT_TRUE(contains(facts.warning, "not the published file"));
  EXPECT_TRUE(contains(facts.warning, facts.hash.substr(0, 8) + " instead of 6726825d"));
  EXPECT_EQ(facts.hash.size(), 64u);
}

TEST_F(FeatureNetworks, FilesOfOtherNetworksAreRefused) {
  struct Case {
    const char *what, *expected;
    std::function<void(io::StateDict&)> spoil;
  };
  const Case cases[] = {{"missing", "Mixed_7c.branch_pool.bn.weight is missing",
                         [](auto& t) { t.erase("Mixed_7c.branch_pool.bn.weight"); }},
                        {"shape", "fc.weight has shape [1000, 2048], expected [1008, 2048]",
                         [](auto& t) {
                           t["fc.weight"] = at::zeros({1000, 2048});
                         }},
                        {"dtype", "fc.bias holds Int, expected a float type",
                         [](auto& t) { t["fc.bias"] = at::zeros({1008}, at::kInt); }},
                        {"surplus", "AuxLogits.fc.bias is not part of this network",
                         [](auto& t) { t["AuxLogits.fc.bias"] = at::zeros({1000}); }}};
  const auto whole = io::read_safetensors(inception_file()).tensors;
  for (const auto& c : cases) {
    auto tensors = whole;
    c.spoil(tensors);
    io::write_safetensors(file("other"), tensors);
    const auto message =
        message_of<io::InputError>([&] { open_network("inception-pytorch-fid", file("other")); });
    EXPECT_TRUE(contains(message, c.expected)) << c.what;
    EXPECT_TRUE(contains(message, file("other").string())) << c.what;
  }
}

class FeaturesOf : public ::testing::TestWithParam<const char*> {
 protected:
  std::unique_ptr<FeatureNetwork> open() const {
    const std::string name = GetParam();
    if (name.starts_with("inception")) return open_network(name, inception_file());
    return open_network(name, fs::path(SWITCHYARD_NETWORK_DIR) / "efficientnet-lite0-57934424.pth");
  }
};

INSTANTIATE_TEST_SUITE_P(Networks, FeaturesOf,
                         ::testing::Values("efficientnet-lite0", "inception-torch-fidelity",
                                           "inception-clean-fid"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// More pictures than go through the network at once, of sizes that have nothing in common.
TEST_P(FeaturesOf, AreThoseOfAPictureAlone) {
  const auto network = open();
  std::vector<at::Tensor> pictures;
  for (int64_t i = 0; i < 19; ++i)
    pictures.push_back(picture(3 + 37 * (i % 4), 8 + 41 * (i % 5), static_cast<uint64_t>(i)));
  const auto together = (*network)(pictures);
  ASSERT_EQ(together.features.sizes(), at::IntArrayRef({19, network->facts().dimension}));
  for (const size_t i : {size_t{0}, size_t{7}, size_t{18}}) {
    const auto alone = (*network)({pictures[i]});
    const auto row = static_cast<int64_t>(i);
    EXPECT_TRUE(kernels::near(alone.features[0], together.features[row], 1e-5)) << i;
    if (!alone.spatial.defined()) continue;  // Inception alone has the rest
    EXPECT_TRUE(kernels::near(alone.spatial[0], together.spatial[row], 1e-5)) << i;
    EXPECT_TRUE(kernels::near(alone.logits[0], together.logits[row], 1e-5)) << i;
  }
}

TEST(EfficientNetInput, TakesNoRibbons) {
  const auto network = open_network("efficientnet-lite0",
                                    fs::path(SWITCHYARD_NETWORK_DIR) / "efficientnet-lite0-57934424.pth");
  EXPECT_THROW((*network)({picture(1, 150, 1)}), std::invalid_argument);
}

TEST_P(FeaturesOf, NoPicturesAreEmpty) {
  const auto network = open();
  EXPECT_EQ((*network)({}).features.sizes(), at::IntArrayRef({0, network->facts().dimension}));
}

TEST_P(FeaturesOf, NoPictureAreRefusedByNumber) {
  const auto network = open();
  const auto good = picture(9, 7, 1);
  for (const auto& bad : {good.to(at::kFloat), good.permute({2, 0, 1}), good.narrow(2, 0, 1),
                          good.narrow(0, 0, 0), at::Tensor()}) {
    const auto message = message_of<std::invalid_argument>([&] { (*network)({good, bad}); });
    EXPECT_TRUE(contains(message, "image 1 of a batch: expected uint8 [height, width, 3]"));
  }
}

}  // namespace
}  // namespace switchyard::metrics

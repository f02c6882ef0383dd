#include "vae/config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "../io/scratch.h"
#include "random_autoencoder.h"

namespace switchyard::vae {
namespace {

using io::contains;
using io::message_of;
using Json = nlohmann::json;

Json short_json() { return {{"block_out_channels", {128, 256, 512, 512}}, {"layers_per_block", 2}}; }

TEST(VaeConfig, AbsentFieldsHaveTheDefaults) { EXPECT_EQ(config_from_json(short_json()), VaeConfig()); }

TEST(VaeConfig, NullIsAbsent) {
  auto json = short_json();
  json["shift_factor"] = json["latents_mean"] = nullptr;
  EXPECT_EQ(config_from_json(json), VaeConfig());
}

TEST(VaeConfig, ReadsEveryField) {
  const VaeConfig expected{.in_channels = 1,
                           .out_channels = 2,
                           .latent_channels = 16,
                           .block_out_channels = {6, 12},
                           .layers_per_block = 3,
                           .norm_num_groups = 3,
                           .scaling_factor = 0.3611,
                           .shift_factor = 0.1159,
                           .use_quant_conv = false,
                           .use_post_quant_conv = false,
                           .mid_block_add_attention = false};
  Json json;
  VaeConfig::for_each_field(expected,
                            [&](const char* name, const auto& value, const char*) { json[name] = value; });
  EXPECT_EQ(config_from_json(json), expected);
  EXPECT_EQ(expected.downsampling(), 2);
}

struct Refused {
  const char* field;
  Json value;
};

class RefusedConfig : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedConfig, IsNamed) {
  auto json = short_json();
  json[GetParam().field] = GetParam().value;
  EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { config_from_json(json); }), GetParam().field));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, RefusedConfig,
    ::testing::Values(Refused{"_class_name", "VQModel"}, Refused{"act_fn", "gelu"},
                      Refused{"down_block_types", {"DownEncoderBlock2D", "AttnDownEncoderBlock2D"}},
                      Refused{"up_block_types", {"AttnUpDecoderBlock2D"}},
                      Refused{"latents_mean", {0.1, 0.2}}, Refused{"latents_std", {1.5}},
                      Refused{"block_out_channels", Json::array()}, Refused{"block_out_channels", nullptr},
                      Refused{"block_out_channels", {128, 0}}, Refused{"block_out_channels", {128, 1e12}},
                      Refused{"block_out_channels", "wide"},
                      Refused{"block_out_channels", Json(std::vector<int>(31, 32))},
                      Refused{"layers_per_block", 2.5}, Refused{"layers_per_block", 1000000000},
                      Refused{"norm_num_groups", 31}, Refused{"norm_num_groups", 0},
                      Refused{"latent_channels", -4}, Refused{"scaling_factor", 0},
                      Refused{"scaling_factor", "0.18215"}, Refused{"use_quant_conv", 1}));

TEST(VaeConfig, IsInferredFromTensors) {
  auto config = small_config();
  config.block_out_channels = {32, 64};
  config.layers_per_block = 3;
  config.norm_num_groups = 32;
  config.in_channels = 2;
  config.out_channels = 5;
  config.latent_channels = 6;
  EXPECT_EQ(infer_config(random_tensors(config)), config);
  config.use_quant_conv = config.use_post_quant_conv = config.mid_block_add_attention = false;
  EXPECT_EQ(infer_config(random_tensors(config)), config);
}

TEST(VaeConfig, InferringNamesWhatIsMissing) {
  auto tensors = random_tensors(small_config());
  EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { infer_config(tensors); }), "norm_num_groups"));
  tensors.erase("decoder.conv_in.weight");
  EXPECT_TRUE(
      contains(message_of<std::invalid_argument>([&] { infer_config(tensors); }), "decoder.conv_in.weight"));
}

}  // namespace
}  // namespace switchyard::vae

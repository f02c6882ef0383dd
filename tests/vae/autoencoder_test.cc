#include "vae/autoencoder.h"

#include <gtest/gtest.h>

#include "../io/scratch.h"
#include "random_autoencoder.h"

namespace switchyard::vae {
namespace {

using io::contains;
using io::message_of;

TEST(Autoencoder, AnImageDoesNotDependOnItsBatch) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    const auto autoencoder = random_autoencoder(small_config(), dtype);
    const auto latents = random({3, 4, 9, 7}, 1), images = random({3, 3, 36, 28}, 2);
    const auto decoded = autoencoder.decode(latents).value();
    const auto posterior = autoencoder.encode(images);
    for (int64_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(at::equal(autoencoder.decode(latents.narrow(0, i, 1)).value(), decoded.narrow(0, i, 1)));
      const auto alone = autoencoder.encode(images.narrow(0, i, 1));
      EXPECT_TRUE(at::equal(alone.mean, posterior.mean.narrow(0, i, 1)));
      EXPECT_TRUE(at::equal(alone.logvar, posterior.logvar.narrow(0, i, 1)));
    }
  }
}

TEST(Autoencoder, TakesAnySizeThatItsFactorDivides) {
  const auto autoencoder = random_autoencoder(small_config());
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {1, 31}, {33, 1}, {3, 5}}) {
    const auto decoded = autoencoder.decode(random({1, 4, height, width}, 3)).value();
    EXPECT_EQ(decoded.sizes(), (std::vector<int64_t>{1, 3, 4 * height, 4 * width}));
    EXPECT_EQ(autoencoder.encode(decoded).mean.sizes(), (std::vector<int64_t>{1, 4, height, width}));
    EXPECT_TRUE(decoded.isfinite().all().item<bool>());
  }
  EXPECT_EQ(autoencoder.decode(random({0, 4, 2, 2}, 3)).value().sizes(), (std::vector<int64_t>{0, 3, 8, 8}));
}

TEST(Autoencoder, RefusesOtherShapes) {
  const auto autoencoder = random_autoencoder(small_config());
  for (const auto& shape : {std::vector<int64_t>{1, 3, 30, 32}, {1, 3, 32, 31}, {1, 4, 32, 32}, {3, 32, 32}})
    EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { autoencoder.encode(at::zeros(shape)); }),
                         "divisible by 4"));
  for (const auto& shape : {std::vector<int64_t>{1, 3, 8, 8}, {4, 8, 8}, {1, 4, 0, 8}})
    EXPECT_TRUE(
        contains(message_of<std::invalid_argument>([&] { autoencoder.decode(at::zeros(shape)); }), "decode"));
  EXPECT_THROW(random_autoencoder(small_config(), at::kHalf), std::invalid_argument);
}

struct Variant {
  const char* name;
  void (*change)(VaeConfig&);
};

class AutoencoderVariant : public ::testing::TestWithParam<Variant> {};

// Both memory formats, the second of which takes other paths of the library.
TEST_P(AutoencoderVariant, ComputesTheSameInBothMemoryFormats) {
  auto config = small_config();
  GetParam().change(config);
  const auto last = random_autoencoder(config),
             first = random_autoencoder(config, at::kFloat, at::MemoryFormat::Contiguous);
  const auto latents = random({1, config.latent_channels, 9, 15}, 4);
  const int64_t factor = config.downsampling();
  const auto images = random({1, config.in_channels, 9 * factor, 15 * factor}, 5);
  EXPECT_LE(relative_error(first.decode(latents).value(), last.decode(latents).value()), 1e-5);
  EXPECT_LE(relative_error(first.encode(images).mean, last.encode(images).mean), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Configurations, AutoencoderVariant,
    ::testing::Values(Variant{"plain", [](VaeConfig&) {}},
                      Variant{"no_attention", [](VaeConfig& c) { c.mid_block_add_attention = false; }},
                      Variant{"no_quant_convolutions",
                              [](VaeConfig& c) { c.use_quant_conv = c.use_post_quant_conv = false; }},
                      Variant{"one_level", [](VaeConfig& c) { c.block_out_channels = {12}; }},
                      Variant{"other_channels",
                              [](VaeConfig& c) {
                                c.in_channels = 1, c.out_channels = 2, c.latent_channels = 7;
                              }}),
    [](const auto& instance) { return instance.param.name; });

TEST(Autoencoder, BothMatterAttentionAndQuantConvolutions) {
  const auto latents = random({1, 4, 5, 6}, 6);
  const auto tensors = random_tensors(small_config());
  const auto image = [&](bool attention, bool post_quant) {
    auto config = small_config();
    config.mid_block_add_attention = attention;
    config.use_post_quant_conv = post_quant;
    const Autoencoder autoencoder(config,
                                  [&](const std::string& name, at::IntArrayRef) { return tensors.at(name); });
    return autoencoder.decode(latents).value();
  };
  EXPECT_GT(relative_error(image(false, true), image(true, true)), 1e-3);
  EXPECT_GT(relative_error(image(true, false), image(true, true)), 1e-3);
}

TEST(Autoencoder, ScalesAndShifts) {
  auto config = small_config();
  config.scaling_factor = 0.25;
  config.shift_factor = 0.5;
  const auto autoencoder = random_autoencoder(config);
  EXPECT_EQ(autoencoder.scaled(at::full({1}, 2.5)).item<float>(), 0.5f);
  EXPECT_EQ(autoencoder.unscaled(at::full({1}, 0.5)).item<float>(), 2.5f);
  // decode() undoes the scaling.
  auto plain_config = config;
  plain_config.scaling_factor = 1;
  plain_config.shift_factor = 0;
  const auto z = random({1, 4, 3, 3}, 7);
  EXPECT_LE(relative_error(autoencoder.decode(autoencoder.scaled(z)).value(),
                           random_autoencoder(plain_config).decode(z).value()),
            1e-5);
}

TEST(Posterior, LogvarIsClamped) {
  const auto source = random_source();
  const Autoencoder autoencoder(small_config(), [&](const std::string& name, at::IntArrayRef shape) {
    const auto values = source(name, shape);
    return name == "quant_conv.bias" ? at::tensor({0, 0, 0, 0, -1000, 1000, 1, 1}, at::kFloat) : values;
  });
  const auto logvar = autoencoder.encode(random({2, 3, 8, 8}, 8)).logvar;
  EXPECT_TRUE(logvar.select(1, 0).eq(-30).all().item<bool>());
  EXPECT_TRUE(logvar.select(1, 1).eq(20).all().item<bool>());
  EXPECT_TRUE(logvar.select(1, 2).abs().lt(20).all().item<bool>());
}

TEST(Posterior, SamplesByTheDefinition) {
  const Posterior posterior{at::full({1, 2, 1, 1}, 3.0f), at::full({1, 2, 1, 1}, 2 * std::log(0.5f))};
  const auto sample = posterior.sample(at::full({1, 2, 1, 1}, -4.0f));
  EXPECT_LE(relative_error(sample, at::full({1, 2, 1, 1}, 1.0f)), 1e-6);
}

TEST(Posterior, EachImageHasItsGenerator) {
  const Posterior posterior{random({3, 4, 5, 6}, 9), random({3, 4, 5, 6}, 10)};
  const auto generators = [](std::vector<uint64_t> seeds) {
    std::vector<at::Generator> made;
    for (const auto seed : seeds) made.push_back(at::detail::createCPUGenerator(seed));
    return made;
  };
  const auto all = posterior.sample(generators({11, 12, 13}));
  const Posterior second{posterior.mean.narrow(0, 1, 1), posterior.logvar.narrow(0, 1, 1)};
  EXPECT_TRUE(at::equal(second.sample(generators({12})), all.narrow(0, 1, 1)));
  EXPECT_TRUE(at::equal(second.sample(random({4, 5, 6}, 12).unsqueeze(0)), all.narrow(0, 1, 1)));
  EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { posterior.sample(generators({11})); }),
                       "expected 3 generators, got 1"));
  EXPECT_THROW(posterior.sample(at::zeros({3, 4, 6, 5})), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::vae

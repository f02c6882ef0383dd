// The estimates of plan_decode against what decoding really takes, and against the published size.
#include "vae/plan.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "../peak_memory.h"
#include "random_autoencoder.h"

namespace switchyard::vae {
namespace {

class PlanOfDtype : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(PlanOfDtype, EstimatesThePeakOfBothForms) {
  // Without them libtorch unfolds bf16 convolutions, in four times the memory; the program decodes in fp32 there.
  if (GetParam() == at::kBFloat16 && !__builtin_cpu_supports("avx512bf16"))
    GTEST_SKIP() << "no bf16 products on this processor";
  auto config = small_config();
  config.block_out_channels = {16, 32, 64, 64};  // in the proportions of the published autoencoder
  config.layers_per_block = 2;
  config.norm_num_groups = 8;
  const auto autoencoder = random_autoencoder(config, GetParam());
  constexpr int64_t kHeight = 48, kWidth = 32, kBand = 64 << 10;
  const auto latents = random({1, 4, kHeight, kWidth}, 1);
  const auto plan = plan_decode(config, 1, kHeight, kWidth, GetParam(), 1, kBand);
  ASSERT_TRUE(plan.banded);
  DecodeOptions banded;
  banded.memory_limit = 1;
  banded.band_bytes = kBand;
  const auto whole_peak = peak_of([&] { autoencoder.decode(latents); });
  const auto banded_peak = peak_of([&] { autoencoder.decode(latents, banded); });
  const auto mib = [](int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  std::printf("%s decode of 384x256: whole %.1f MiB (estimate %.1f), in bands %.1f MiB (estimate %.1f)\n",
              toString(GetParam()), mib(whole_peak), mib(plan.whole_bytes), mib(banded_peak),
              mib(plan.banded_bytes));
  EXPECT_LE(whole_peak, plan.whole_bytes);
  EXPECT_GE(whole_peak, plan.whole_bytes / 2);
  EXPECT_LE(banded_peak, plan.banded_bytes);
  EXPECT_GE(banded_peak, plan.banded_bytes / 2);
  EXPECT_LE(static_cast<double>(banded_peak), 0.75 * static_cast<double>(whole_peak));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, PlanOfDtype, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& instance) { return toString(instance.param); });

TEST(Plan, ArithmeticOfThePublishedAutoencoder) {
  EXPECT_NEAR(plan_decode(VaeConfig(), 1, 32, 32, at::kFloat, 0).flop, 622e9, 2e9);
}

TEST(Plan, TheLimitDecides) {
  const VaeConfig config;
  const auto plan = [&](int64_t limit) { return plan_decode(config, 1, 128, 128, at::kFloat, limit); };
  const int64_t whole = plan(0).whole_bytes;
  EXPECT_FALSE(plan(0).banded);
  EXPECT_FALSE(plan(whole).banded);
  EXPECT_EQ(plan(whole).bytes, whole);
  EXPECT_TRUE(plan(whole - 1).banded);
  EXPECT_EQ(plan(whole - 1).bytes, plan(0).banded_bytes);
  EXPECT_LT(plan(0).banded_bytes, 0.65 * static_cast<double>(whole));
}

TEST(Plan, SmallPicturesAreNotBanded) {
  EXPECT_FALSE(plan_decode(VaeConfig(), 1, 4, 4, at::kFloat, 1).banded);
}

TEST(Plan, RefusesBadSizesAndSurvivesHugeOnes) {
  const VaeConfig config;
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{0, 8}, {8, -1}, {8, int64_t{1} << 40}})
    EXPECT_THROW(plan_decode(config, 1, height, width, at::kFloat, 0), std::invalid_argument);
  EXPECT_GT(plan_decode(config, int64_t{1} << 60, 1 << 20, 1 << 20, at::kFloat, 0).bytes, 0);
}

}  // namespace
}  // namespace switchyard::vae

#include "sampler/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace switchyard::sampler {
namespace {

const std::vector<std::int64_t> kAwkward = {3, 5, 7};  // 105 values: a vector loop leaves a tail

TEST(InitialNoise, OfAnImageDependsOnItsSeedAlone) {
  const std::vector<std::uint64_t> seeds = {7, 0, 7, 123456789, kMaxSeed, 1, 2, 3};
  const at::Tensor batch = initial_noise(seeds, kAwkward);
  ASSERT_EQ(batch.sizes(), (std::vector<std::int64_t>{8, 3, 5, 7}));
  ASSERT_EQ(batch.scalar_type(), at::kFloat);
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    EXPECT_TRUE(at::equal(batch[i], initial_noise({&seeds[i], 1}, kAwkward)[0])) << "seed " << seeds[i];
  }
}

TEST(InitialNoise, EqualsTheGlobalGeneratorAfterManualSeed) {
  at::manual_seed(42);
  const at::Tensor expected = at::randn(kAwkward);
  EXPECT_TRUE(at::equal(initial_noise(std::array<std::uint64_t, 1>{42}, kAwkward)[0], expected));
}

TEST(InitialNoise, LeavesTheGlobalGeneratorAlone) {
  at::manual_seed(42);
  const at::Tensor expected = at::randn(kAwkward);
  at::manual_seed(42);
  initial_noise(std::array<std::uint64_t, 1>{5}, kAwkward);
  EXPECT_TRUE(at::equal(at::randn(kAwkward), expected));
}

TEST(InitialNoise, SeedsGiveUnrelatedStandardNormals) {
  std::vector<std::uint64_t> seeds(16);
  std::iota(seeds.begin(), seeds.end(), 0);
  const at::Tensor noise = initial_noise(seeds, {3, 64, 64}).reshape({16, -1}).to(at::kDouble);
  const double n = 3 * 64 * 64;
  const at::Tensor correlation = at::mm(noise, noise.t()) / n;  // [16,16], identity but for 1/sqrt(n) = 0.009
  EXPECT_LT((correlation - at::eye(16, at::kDouble)).abs().max().item<double>(), 0.05);
  EXPECT_LT(noise.mean(1).abs().max().item<double>(), 0.04);
}

TEST(InitialNoise, OfNoImagesIsEmpty) {
  EXPECT_EQ(initial_noise({}, kAwkward).sizes(), (std::vector<std::int64_t>{0, 3, 5, 7}));
}

TEST(InitialNoise, SeedBeyondTheGeneratorsIsRefused) {
  EXPECT_THROW(initial_noise(std::array<std::uint64_t, 2>{0, kMaxSeed + 1}, kAwkward), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::sampler

// Decoding in bands: the same picture, and how decodes report and stop.
#include <gtest/gtest.h>

#include <cstdio>

#include "random_autoencoder.h"

namespace switchyard::vae {
namespace {

// A latent whose statistics change across the picture: what would betray normalisation per band.
at::Tensor uneven_latents(int64_t images, int64_t height, int64_t width) {
  const auto slope = at::linspace(-1.0, 1.0, height).view({1, 1, height, 1});
  return (random({images, 4, height, width}, 1) * (1.2 + slope) + slope) * 0.2;
}

struct Case {
  at::ScalarType dtype;
  int64_t height, width, band_bytes;
  double limit;
};

class Banded : public ::testing::TestWithParam<Case> {};

TEST_P(Banded, GivesTheWholePicture) {
  const auto c = GetParam();
  const auto autoencoder = random_autoencoder(small_config(), c.dtype);
  const auto latents = uneven_latents(1, c.height, c.width);
  ASSERT_TRUE(plan_decode(autoencoder.config(), 1, c.height, c.width, c.dtype, 1, c.band_bytes).banded);
  DecodeOptions options;
  options.memory_limit = 1;
  options.band_bytes = c.band_bytes;
  int pieces = 0;
  options.progress = [&](double) { return ++pieces, true; };
  const auto banded = autoencoder.decode(latents, options).value();
  const auto whole = autoencoder.decode(latents).value();
  const double error = relative_error(banded, whole);
  std::printf("bands of %ld bytes, %s %ldx%ld: %d pieces, worst %.2g (limit %.0e)\n",
              static_cast<long>(c.band_bytes), toString(c.dtype), static_cast<long>(4 * c.height),
              static_cast<long>(4 * c.width), pieces, error, c.limit);
  EXPECT_LE(error, c.limit);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Banded,
                         ::testing::Values(Case{at::kFloat, 31, 33, 1, 1e-5},
                                           Case{at::kFloat, 31, 33, 10007, 1e-5},
                                           Case{at::kFloat, 64, 1, 3001, 1e-5},
                                           Case{at::kFloat, 40, 17, 100003, 1e-5},
                                           Case{at::kBFloat16, 31, 33, 5003, 3e-2}));

// What the comparison above could not be without: normalising each part by itself is far off.
TEST(BandedControl, DecodingPartsByThemselvesIsVisiblyWrong) {
  const auto autoencoder = random_autoencoder(small_config());
  const auto latents = uneven_latents(1, 32, 16);
  const auto whole = autoencoder.decode(latents).value();
  const auto upper = autoencoder.decode(latents.narrow(2, 0, 16)).value();
  EXPECT_GT(relative_error(upper.narrow(2, 0, 32), whole.narrow(2, 0, 32)), 1e-2);
}

TEST(BandedControl, AnImageDoesNotDependOnItsBatch) {
  const auto autoencoder = random_autoencoder(small_config());
  const auto latents = uneven_latents(3, 32, 9);
  DecodeOptions options;
  options.memory_limit = 1;
  options.band_bytes = 5003;
  const auto decoded = autoencoder.decode(latents, options).value();
  EXPECT_TRUE(
      at::equal(autoencoder.decode(latents.narrow(0, 2, 1), options).value(), decoded.narrow(0, 2, 1)));
}

TEST(Progress, RisesToOneInBothForms) {
  const auto autoencoder = random_autoencoder(small_config());
  for (const int64_t limit : {0, 1}) {
    DecodeOptions options;
    options.memory_limit = limit;
    options.band_bytes = 5003;
    std::vector<double> done{0};
    options.progress = [&](double part) { return done.push_back(part), true; };
    ASSERT_TRUE(autoencoder.decode(uneven_latents(2, 32, 9), options).has_value());
    for (size_t i = 1; i < done.size(); ++i) EXPECT_GT(done[i], done[i - 1]);
    EXPECT_NEAR(done.back(), 1, 1e-9);
    EXPECT_NEAR(done[done.size() / 2], 0.5, 0.1) << "half of the pieces are one of the two images";
  }
}

TEST(Progress, FalseCancelsAtOnce) {
  const auto autoencoder = random_autoencoder(small_config());
  for (const int64_t limit : {0, 1}) {
    DecodeOptions options;
    options.memory_limit = limit;
    options.band_bytes = 5003;
    int calls = 0;
    options.progress = [&](double) { return ++calls < 7; };
    EXPECT_FALSE(autoencoder.decode(uneven_latents(2, 32, 9), options).has_value());
    EXPECT_EQ(calls, 7);
  }
}

}  // namespace
}  // namespace switchyard::vae

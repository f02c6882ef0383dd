// Patches, positions and timesteps against their definitions, index by index.
#include "dit/embedding.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace switchyard::dit {
namespace {

TEST(Patchify, PutsEachPixelWhereTheHeaderSays) {
  constexpr int64_t n = 2, c = 3, side = 6, p = 2, across = side / p;
  const auto images = at::arange(n * c * side * side).view({n, c, side, side});
  const auto tokens = patchify(images, p);
  ASSERT_EQ(tokens.sizes(), at::IntArrayRef({n, across * across, c * p * p}));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t channel = 0; channel < c; ++channel)
      for (int64_t y = 0; y < side; ++y)
        for (int64_t x = 0; x < side; ++x)
          ASSERT_EQ(tokens[i][y / p * across + x / p][(channel * p + y % p) * p + x % p].item<int64_t>(),
                    images[i][channel][y][x].item<int64_t>());
}

TEST(Unpatchify, IsTheInverseUpToTheOrderInsideAToken) {
  struct Case {
    int64_t n, channels, side, patch;
  };
  for (const auto& c : {Case{1, 1, 1, 1}, {3, 6, 8, 2}, {2, 8, 8, 4}, {1, 3, 31, 1}, {2, 4, 33, 11}}) {
    const auto images =
        at::arange(c.n * c.channels * c.side * c.side).view({c.n, c.channels, c.side, c.side});
    // (channel, row, column) -> (row, column, channel), as the official final layer orders them
    const auto tokens =
        patchify(images, c.patch).unflatten(2, {c.channels, c.patch * c.patch}).transpose(2, 3).flatten(2);
    EXPECT_TRUE(at::equal(unpatchify(tokens, c.patch, c.channels), images)) << c.side;
  }
}

TEST(TimestepEmbedding, EqualsTheDefinition) {
  const auto t = at::tensor({0.F, 0.03F, 1.F, 999.F});
  const auto embedding = timestep_embedding(t);
  ASSERT_EQ(embedding.sizes(), at::IntArrayRef({4, kTimestepFrequencies}));
  for (int64_t n = 0; n < 4; ++n) {
    for (int64_t i = 0; i < 128; ++i) {
      const double angle = t[n].item<double>() * std::pow(10000.0, -static_cast<double>(i) / 128.0);
      // fp32 holds an angle near 1000 to 3e-5.
      ASSERT_NEAR(embedding[n][i].item<double>(), std::cos(angle), 2e-4) << t[n].item<float>() << " " << i;
      ASSERT_NEAR(embedding[n][128 + i].item<double>(), std::sin(angle), 2e-4)
          << t[n].item<float>() << " " << i;
    }
  }
}

TEST(PositionEmbedding, ColumnsFirstThenRows) {
  constexpr int64_t width = 12, side = 5, quarter = width / 4;
  const auto embedding = position_embedding(width, side);
  ASSERT_EQ(embedding.sizes(), at::IntArrayRef({1, side * side, width}));
  for (int64_t token = 0; token < side * side; ++token) {
    for (int64_t i = 0; i < quarter; ++i) {
      const double w = std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(quarter));
      const double column = w * static_cast<double>(token % side),
                   row = w * static_cast<double>(token / side);
      const double expected[] = {std::sin(column), std::cos(column), std::sin(row), std::cos(row)};
      for (int64_t part = 0; part < 4; ++part) {
        ASSERT_NEAR(embedding[0][token][part * quarter + i].item<double>(), expected[part], 1e-6)
            << token << " " << part;
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::dit

// The bilinear resizes of Inception's conventions, on sizes that are awkward for them.
#include "metrics/input.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "../kernels/compare.h"

namespace switchyard::metrics {
namespace {

struct Sides {
  int64_t height, width, side;
};

class Bilinear : public ::testing::TestWithParam<Sides> {
 protected:
  at::Tensor picture() const {
    return (kernels::random({GetParam().height, GetParam().width, 3}, 5) * 64 + 128)
        .clamp(0, 255)
        .to(at::kByte);
  }
};

INSTANTIATE_TEST_SUITE_P(Sizes, Bilinear,
                         ::testing::Values(Sides{1, 1, 7}, Sides{2, 3, 31}, Sides{31, 33, 32},
                                           Sides{32, 32, 32}, Sides{5, 97, 16}, Sides{64, 64, 299},
                                           Sides{513, 2, 31}));

TEST_P(Bilinear, CentresAreThoseOfPyTorch) {
  const auto image = picture();
  const int64_t side = GetParam().side;
  const Range range = {{2 / 255.f, 0.5f, -1}, {-1, 0, 3}};
  const auto x = image.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).contiguous();
  const auto resized = at::upsample_bilinear2d(x, {side, side}, /*align_corners=*/false);
  const auto expected =
      resized * at::tensor(range.scale).view({3, 1, 1}) + at::tensor(range.shift).view({3, 1, 1});
  const auto actual = bilinear_batch({image}, side, Sampling::centres, range);
  EXPECT_TRUE(kernels::near(actual, expected, 1e-6));
}

TEST_P(Bilinear, CornersAreThoseOfTensorFlow) {
  const auto image = picture();
  const int64_t side = GetParam().side;
  const auto actual = bilinear_batch({image}, side, Sampling::corners, {});
  auto expected = at::empty({1, 3, side, side});
  const auto in = image.accessor<uint8_t, 3>();
  auto out = expected.accessor<float, 4>();
  const auto source = [&](int64_t i, int64_t size) {
    return static_cast<float>(i) * (static_cast<float>(size) / static_cast<float>(side));
  };
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      const float fy = source(y, image.size(0)), fx = source(x, image.size(1));
      const auto y0 = static_cast<int64_t>(fy), x0 = static_cast<int64_t>(fx);
      const auto y1 = std::min(y0 + 1, image.size(0) - 1), x1 = std::min(x0 + 1, image.size(1) - 1);
      const double wy = fy - static_cast<float>(y0), wx = fx - static_cast<float>(x0);
      for (int64_t c = 0; c < 3; ++c)
        out[0][c][y][x] = static_cast<float>((in[y0][x0][c] * (1 - wx) + in[y0][x1][c] * wx) * (1 - wy) +
                                             (in[y1][x0][c] * (1 - wx) + in[y1][x1][c] * wx) * wy);
    }
  }
  EXPECT_TRUE(kernels::near(actual, expected, 1e-6));
}

}  // namespace
}  // namespace switchyard::metrics

#include "app/gui/studio/colors.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace switchyard::studio {
namespace {

// CIE L*, another measure of lightness than the maps are made by.
double lightness(const Color& color) {
  double y = 0;
  constexpr double kShare[] = {0.2126, 0.7152, 0.0722};
  for (size_t i = 0; i < 3; ++i) {
    const double x = color[i] / 255.0;
    y += kShare[i] * (x <= 0.04045 ? x / 12.92 : std::pow((x + 0.055) / 1.055, 2.4));
  }
  return y > 0.008856 ? 116 * std::cbrt(y) - 16 : 903.3 * y;
}

TEST(SequentialMap, GetsLighterEvenly) {
  const double whole = lightness(sequential_color(1)) - lightness(sequential_color(0));
  EXPECT_GT(whole, 75);
  for (int i = 0; i < 20; ++i) {
    const double step = lightness(sequential_color((i + 1) / 20.0)) - lightness(sequential_color(i / 20.0));
    EXPECT_NEAR(step, whole / 20, whole / 20 * 0.6) << i;
  }
}

TEST(DivergingMap, IsLightInTheMiddleAndEquallyDarkAtBothEnds) {
  EXPECT_GT(lightness(diverging_color(0)), 94);
  EXPECT_NEAR(lightness(diverging_color(-1)), lightness(diverging_color(1)), 8);
  EXPECT_LT(lightness(diverging_color(1)), 65);
  EXPECT_GT(diverging_color(-1)[2], diverging_color(-1)[0]) << "blue below zero";
  EXPECT_GT(diverging_color(1)[0], diverging_color(1)[2]) << "orange above";
}

TEST(Rgba, HasTheMapsColours) {
  const auto rgba = sequential_rgba(at::tensor({2.0f, 3.0f, 4.0f, 9.0f}).view({2, 2}), 2, 4);
  ASSERT_EQ(rgba.sizes(), (at::IntArrayRef{2, 2, 4}));
  const auto is = [](const at::Tensor& pixel, const Color& color) {
    return at::equal(pixel, at::tensor({color[0], color[1], color[2], uint8_t{255}}, at::kByte));
  };
  EXPECT_TRUE(is(rgba[0][0], sequential_color(0)));
  EXPECT_TRUE(is(rgba[1][0], sequential_color(1)));
  EXPECT_TRUE(is(rgba[1][1], sequential_color(1))) << "clamped";
  EXPECT_TRUE(is(diverging_rgba(at::tensor({-0.5f}), 0.5)[0], diverging_color(-1)));
  EXPECT_TRUE(is(category_rgba(at::tensor({3}, at::kLong), 8)[0], figures::category_color(3, 8)));
}

TEST(Rgba, NothingIsMarkedLikeNoValue) {
  const auto rgba = sequential_rgba(at::tensor({NAN, NAN, 0.0f, NAN}).view({2, 2}), 0, 1);
  const auto nothing = [](uint8_t opacity) {
    return at::tensor({kNothing[0], kNothing[1], kNothing[2], opacity}, at::kByte);
  };
  EXPECT_TRUE(at::equal(rgba[0][0], nothing(160)));
  EXPECT_TRUE(at::equal(rgba[0][1], nothing(90))) << "chequered";
  EXPECT_TRUE(at::equal(rgba[1][1], nothing(160)));
  EXPECT_EQ(rgba[1][0][3].item<int>(), 255);
  EXPECT_TRUE(at::equal(category_rgba(at::tensor({-1}, at::kLong), 8)[0], nothing(160)));
}

TEST(Extent, LeavesOutNothing) {
  const auto extent = extent_of(at::tensor({NAN, -1.0f, 3.0f}));
  EXPECT_EQ(extent.low, -1);
  EXPECT_EQ(extent.high, 3);
  EXPECT_EQ(extent_of(at::tensor({NAN})).high, 1);
  EXPECT_EQ(extent_of(at::tensor({2.0f, 2.0f})).high, 2);
}

}  // namespace
}  // namespace switchyard::studio

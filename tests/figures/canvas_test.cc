#include "figures/canvas.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <set>

namespace switchyard::figures {
namespace {

int64_t inked(const Canvas& canvas) { return (canvas.pixels() != 255).any(2).sum().item<int64_t>(); }

TEST(Canvas, FillsWhatLiesInside) {
  Canvas canvas(5, 4);
  canvas.fill(3, -1, 10, 3, {1, 2, 3});
  EXPECT_EQ(inked(canvas), 4);
  EXPECT_TRUE(canvas.pixels()[1][4].equal(at::tensor({1, 2, 3}, at::kByte)));
}

TEST(Canvas, MixesByOpacity) {
  Canvas canvas(1, 1, {100, 100, 100});
  canvas.fill(0, 0, 1, 1, {200, 100, 0}, 0.25);
  EXPECT_TRUE(canvas.pixels()[0][0].equal(at::tensor({125, 100, 75}, at::kByte)));
}

TEST(Canvas, DrawsThePartOfAnImageThatFits) {
  Canvas canvas(4, 4);
  const auto image = at::arange(27, at::kByte).view({3, 3, 3});
  canvas.draw(-1, 2, image);
  EXPECT_TRUE(canvas.pixels().slice(0, 2, 4).slice(1, 0, 2).equal(image.slice(0, 0, 2).slice(1, 1, 3)));
  EXPECT_EQ(inked(canvas), 4);
  canvas.draw(9, 9, image);  // outside
  EXPECT_EQ(inked(canvas), 4);
}

TEST(Canvas, AlignsText) {
  const TextStyle right{.size = 16, .align = Align::right};
  Canvas canvas(200, 30);
  const auto width = canvas.text(200, 20, "Layer 3", right);
  EXPECT_DOUBLE_EQ(width, Canvas::text_width("Layer 3", right));
  EXPECT_GT(inked(canvas), 100);
  const auto left_of_it = static_cast<int64_t>(199 - width);
  EXPECT_TRUE((canvas.pixels().slice(1, 0, left_of_it) == 255).all().item<bool>());
}

TEST(Canvas, DrawsOneBoxPerByteThatIsNotUtf8) {
  const TextStyle style;
  EXPECT_DOUBLE_EQ(Canvas::text_width("\xc3\xa9", style), Canvas::text_width("é", style));
  EXPECT_DOUBLE_EQ(Canvas::text_width("\xff\xc3", style), 2 * Canvas::text_width("\xef\xbf\xbd", style));
}

TEST(Canvas, MixesColorsAlongStops) {
  const Color stops[] = {{0, 0, 0}, {100, 0, 0}, {100, 200, 0}};
  EXPECT_EQ(color_between(stops, 0.25), (Color{50, 0, 0}));
  EXPECT_EQ(color_between(stops, 0.75), (Color{100, 100, 0}));
  EXPECT_EQ(color_between(stops, 2.0), (Color{100, 200, 0}));
}

TEST(Canvas, GivesEachCategoryItsColor) {
  for (const int64_t count : {2, 8, 9, 31, 64}) {
    std::set<Color> colors;
    for (int64_t i = 0; i < count; ++i) colors.insert(category_color(i, count));
    EXPECT_EQ(static_cast<int64_t>(colors.size()), count);
  }
}

TEST(Canvas, EnlargesByWholePixelsWhereItCan) {
  const auto image = at::arange(12, at::kByte).view({2, 2, 3});
  EXPECT_TRUE(resized(image, 6, 4).slice(0, 0, 6, 3).slice(1, 1, 4, 2).equal(image));
  EXPECT_TRUE(resized(at::full({3, 3, 1}, 9, at::kByte), 7, 5).equal(at::full({7, 5, 3}, 9, at::kByte)));
}

}  // namespace
}  // namespace switchyard::figures

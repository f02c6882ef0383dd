#include "figures/image_grid.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

namespace switchyard::figures {
namespace {

at::Tensor plain(int64_t height, int64_t width, int value, int64_t channels = 3) {
  return at::full({height, width, channels}, value, at::kByte);
}

TEST(ImageGrid, FillsRowByRowWithGapsAndZoom) {
  const auto grid = image_grid({plain(2, 3, 10), plain(2, 3, 20), plain(2, 3, 30)}, 2, 1, 2);
  ASSERT_EQ(grid.sizes(), at::IntArrayRef({9, 13, 3}));
  auto expected = at::full({9, 13, 3}, 255, at::kByte);
  expected.slice(0, 0, 4).slice(1, 0, 6).fill_(10);
  expected.slice(0, 0, 4).slice(1, 7, 13).fill_(20);
  expected.slice(0, 5, 9).slice(1, 0, 6).fill_(30);
  EXPECT_TRUE(grid.equal(expected));
}

TEST(ImageGrid, ZoomRepeatsPixels) {
  const auto image = at::arange(2 * 1 * 3, at::kByte).view({2, 1, 3});
  EXPECT_TRUE(image_grid({image}, 1, 0, 3).slice(0, 0, 6, 3).slice(1, 2, 3).equal(image));
}

TEST(ImageGrid, IsNoWiderThanItsImages) { EXPECT_EQ(image_grid({plain(4, 4, 0)}, 8).size(1), 4); }

TEST(ImageGrid, TurnsGreyIntoRgb) { EXPECT_TRUE(image_grid({plain(3, 5, 7, 1)}, 1).equal(plain(3, 5, 7))); }

TEST(ImageGrid, RefusesWhatIsNoGrid) {
  EXPECT_THROW(image_grid({}, 1), std::invalid_argument);
  EXPECT_THROW(image_grid({plain(4, 4, 0), plain(4, 5, 0)}, 2), std::invalid_argument);
  EXPECT_THROW(image_grid({plain(4, 4, 0, 4)}, 1), std::invalid_argument);
  EXPECT_THROW(image_grid({plain(4, 4, 0).to(at::kFloat)}, 1), std::invalid_argument);
  EXPECT_THROW(image_grid({plain(4, 4, 0)}, 0), std::invalid_argument);
  EXPECT_THROW(image_grid({plain(4, 4, 0)}, 1, -1), std::invalid_argument);
  EXPECT_THROW(image_grid({plain(4, 4, 0)}, 1, 0, 0), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::figures

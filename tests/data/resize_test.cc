#include "data/resize.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "../io/scratch.h"

namespace switchyard::data {
namespace {

using io::contains, io::message_of;

constexpr Filter kFilters[] = {Filter::box, Filter::bilinear, Filter::bicubic, Filter::lanczos};

TEST(ResizeTest, TheSameSizeIsACopy) {
  const auto image = at::randint(256, {7, 33, 3}, at::kByte);
  for (const Filter filter : kFilters) {
    const auto copy = resized(image, 7, 33, filter);
    EXPECT_TRUE(at::equal(copy, image));
    EXPECT_NE(copy.const_data_ptr(), image.const_data_ptr());
    EXPECT_TRUE(at::equal(resized_float(image, 7, 33, filter), image.to(at::kFloat)));
  }
}

// One colour stays itself at any size: the weights sum to 1.
TEST(ResizeTest, OneColourStays) {
  for (const int64_t channels : {1, 2, 3, 4})
    for (const auto& [h, w] : {std::pair{1, 1}, {1, 299}, {131, 2}, {64, 33}})
      for (const Filter filter : kFilters) {
        const auto image = at::full({31, 47, channels}, 201, at::kByte);
        const auto out = resized(image, h, w, filter);
        EXPECT_EQ(out.sizes(), (at::IntArrayRef{h, w, channels}));
        EXPECT_TRUE(out.eq(201).all().item<bool>());
        EXPECT_LE((resized_float(image, h, w, filter) - 201).abs().max().item<float>(), 1e-4);
      }
}

TEST(ResizeTest, ChannelsDoNotMix) {
  const auto image = at::randint(256, {40, 50, 4}, at::kByte);
  for (const Filter filter : kFilters) {
    const auto whole = resized(image, 33, 70, filter);
    const auto fp32 = resized_float(image, 33, 70, filter);
    for (int64_t c = 0; c < 4; ++c) {  // strided views
      EXPECT_TRUE(at::equal(resized(image.narrow(2, c, 1), 33, 70, filter), whole.narrow(2, c, 1)));
      EXPECT_TRUE(at::equal(resized_float(image.narrow(2, c, 1), 33, 70, filter), fp32.narrow(2, c, 1)));
    }
  }
}

// Rows longer than the sums that are kept at once, and more of them than a band has.
TEST(ResizeTest, LargeImagesAreTheirPartsSideBySide) {
  const auto tile = at::randint(256, {70, 64, 3}, at::kByte);
  const auto wide = tile.repeat({1, 20, 1});
  const auto expected = resized(tile, 35, 64, Filter::bicubic).repeat({1, 20, 1});
  EXPECT_TRUE(at::equal(resized(wide, 35, 1280, Filter::bicubic), expected));
  EXPECT_TRUE(at::equal(resized(wide.transpose(0, 1), 1280, 35, Filter::bicubic), expected.transpose(0, 1)));
}

TEST(ResizeTest, CenterCropOfEverySizeIsSquare) {
  for (const int64_t h : {1, 31, 32, 33, 63, 64, 65, 129, 300})
    for (const int64_t w : {2, 32, 47, 64, 200})
      EXPECT_EQ(center_crop(at::zeros({h, w, 3}, at::kByte), 32).sizes(), (at::IntArrayRef{32, 32, 3}))
          << h << " x " << w;
}

TEST(ResizeTest, OtherTensorsAreRefused) {
  const auto image = at::zeros({4, 5, 3}, at::kByte);
  const at::Tensor refused[] = {at::Tensor(),          image[0],
                                image.to(at::kDouble), at::zeros({4, 5, 5}, at::kByte),
                                image.narrow(2, 0, 0), image.narrow(0, 0, 0),
                                image.narrow(1, 0, 0), at::zeros({1, 32'769, 1}, at::kByte)};
  for (const auto& other : refused) {
    EXPECT_THROW(resized(other, 3, 3, Filter::box), std::invalid_argument);
    EXPECT_THROW(resized_float(other, 3, 3, Filter::box), std::invalid_argument);
    EXPECT_THROW(center_crop(other, 3), std::invalid_argument);
  }
  for (const auto& [h, w] : {std::pair{0, 3}, {3, 0}, {-1, 3}, {3, 32'769}})
    EXPECT_TRUE(contains(message_of<std::invalid_argument>([&] { resized(image, h, w, Filter::box); }),
                         c10::str("expected sides of 1 to 32768, found ", h, " x ", w)));
  EXPECT_TRUE(
      contains(message_of<std::invalid_argument>([&] { resized(image.to(at::kFloat), 3, 3, Filter::box); }),
               "resized: expected a uint8 image [H, W, 1 to 4] with sides of 1 to 32768 on the CPU, found "
               "[4, 5, 3] Float"));
}

}  // namespace
}  // namespace switchyard::data

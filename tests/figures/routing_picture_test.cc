#include "figures/routing_picture.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "figures/canvas.h"

namespace switchyard::figures {
namespace {

using pipeline::Request;
using pipeline::RoutingRecord;

struct Size {
  int64_t depth, experts, chosen, side, steps, images;
};

RoutingRecord empty_record(const Size& size) {
  dit::ModelConfig config;
  config.depth = size.depth;
  config.num_experts = size.experts;
  config.experts_per_token = size.chosen;
  config.input_size = size.side;
  config.patch_size = 1;
  Request request;
  request.settings.grid.steps = static_cast<int>(size.steps);
  for (int64_t i = 0; i < size.images; ++i) request.images.push_back({.label = i, .seed = 0});
  return RoutingRecord(config, request);
}

// Token i of each image chooses experts i, i + 1, ... (modulo their number), at every step.
RoutingRecord record_of(const Size& size) {
  auto record = empty_record(size);
  const auto tokens = size.side * size.side;
  const auto experts = (at::arange(tokens).view({-1, 1}) + at::arange(size.chosen)).remainder(size.experts);
  record.experts.copy_(experts);
  record.evaluated.fill_(true);
  return record;
}

std::vector<at::Tensor> grey_images(int64_t count, int64_t side) {
  return std::vector<at::Tensor>(count, at::full({side, side, 3}, 128, at::kByte));
}

int64_t pixels_of(const at::Tensor& picture, const Color& color) {
  return (picture == at::tensor({color[0], color[1], color[2]}, at::kByte)).all(2).sum().item<int64_t>();
}

class RoutingPictureSize : public ::testing::TestWithParam<Size> {};

TEST_P(RoutingPictureSize, HasAUsableShape) {
  const auto picture = routing_picture(record_of(GetParam()), grey_images(GetParam().images, 31));
  EXPECT_EQ(picture.size(1), 1000);
  EXPECT_GE(picture.size(0), 500);
  EXPECT_LE(picture.size(0), 3000);
  EXPECT_EQ(picture.size(2), 3);
  EXPECT_EQ(picture.scalar_type(), at::kByte);
}

INSTANTIATE_TEST_SUITE_P(All, RoutingPictureSize,
                         ::testing::Values(Size{1, 2, 1, 1, 1, 1}, Size{2, 4, 1, 4, 10, 1},
                                           Size{6, 8, 2, 8, 25, 20}, Size{12, 16, 2, 32, 50, 2},
                                           Size{28, 64, 2, 7, 300, 2}, Size{5, 300, 8, 3, 31, 3}));

// Two experts and one choice: expert 0 takes all, so its row is the darkest color and the other row the
// lightest.
TEST(ExpertMap, ColorsTheShares) {
  auto record = empty_record({1, 2, 1, 4, 10, 1});
  record.experts.fill_(0);
  record.evaluated.fill_(true);
  const auto map = expert_map_picture(record);
  const Color darkest{38, 10, 60}, lightest{252, 249, 242};
  EXPECT_GT(pixels_of(map, darkest), 20'000);
  EXPECT_NEAR(pixels_of(map, lightest), pixels_of(map, darkest), 100);  // but for the ends of the scale
  const auto rows =
      (map.slice(1, 500, 501).squeeze(1) == at::tensor({38, 10, 60}, at::kByte)).all(1).nonzero();
  const auto pale =
      (map.slice(1, 500, 501).squeeze(1) == at::tensor({252, 249, 242}, at::kByte)).all(1).nonzero();
  EXPECT_LT(rows.max().item<int64_t>(), pale.min().item<int64_t>());
}

// A step that nobody recorded is neither dark nor light.
TEST(ExpertMap, LeavesUnrecordedStepsBlank) {
  auto record = record_of({1, 4, 1, 4, 4, 1});
  record.experts.select(1, 3).fill_(255);
  record.evaluated.select(1, 3).fill_(false);
  const Color blank{236, 238, 241};
  EXPECT_EQ(pixels_of(expert_map_picture(record_of({1, 4, 1, 4, 4, 1})), blank), 0);
  EXPECT_GT(pixels_of(expert_map_picture(record), blank), 10'000);
}

// On a plain image a tile holds as many pixels of an expert's color as patches chose it first.
TEST(Winners, ColorsThePatchesByTheirFirstChoice) {
  auto record = record_of({1, 4, 2, 4, 1, 1});
  record.experts.select(-1, 0).fill_(0);
  record.experts.select(4, 15).select(-1, 0).fill_(3);  // the last patch
  const auto picture = winners_picture(record, grey_images(1, 16));
  const auto shade = [](Color color) {  // of a plain image: 0.55 of the color
    for (auto& channel : color) channel = static_cast<uint8_t>(std::lround(0.55 * channel));
    return color;
  };
  EXPECT_EQ(pixels_of(picture, shade(category_color(0, 4))),
            2 * 15 * 32 * 32);  // two tiles: by layer and by step
  EXPECT_EQ(pixels_of(picture, shade(category_color(3, 4))), 2 * 32 * 32);
}

TEST(RoutingPicture, NeedsARecordAndItsImages) {
  EXPECT_THROW(expert_map_picture(empty_record({1, 4, 1, 4, 4, 1})), std::invalid_argument);
  EXPECT_THROW(winners_picture(empty_record({1, 4, 1, 4, 4, 1}), grey_images(1, 16)), std::invalid_argument);
  EXPECT_THROW(winners_picture(record_of({1, 4, 1, 4, 4, 2}), grey_images(1, 16)), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::figures

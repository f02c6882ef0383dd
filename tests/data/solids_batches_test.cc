#include "data/solids_batches.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/solids.h"

namespace switchyard::data {
namespace {

TEST(Data, BatchIsTheImagesOfItsStep) {
  const auto batch = solids_batch(3, 7, 16);
  ASSERT_EQ(batch.images.sizes(), (at::IntArrayRef{7, 3, 16, 16}));
  std::vector<uint8_t> rgb(16 * 16 * 3);
  for (int64_t i = 0; i < 7; ++i) {
    const auto index = static_cast<uint64_t>(3 * 7 + i);
    render_solid(Split::train, index, 16, rgb);
    const auto expected = at::from_blob(rgb.data(), {16, 16, 3}, at::kByte).permute({2, 0, 1});
    EXPECT_TRUE(at::equal(batch.images[i], expected)) << i;
    EXPECT_EQ(batch.labels[i].item<int64_t>(), solid_class(Split::train, index)) << i;
  }
}

TEST(Data, BatchesAheadGoOnWhereTheyStart) {
  for (const int threads : {1, 3}) {
    BatchesAhead ahead(5, 4, 16, threads);
    for (int64_t step = 5; step < 10; ++step) {
      const auto got = ahead.next(), expected = solids_batch(step, 4, 16);
      EXPECT_TRUE(at::equal(got.images, expected.images)) << step << ", " << threads << " ahead";
      EXPECT_TRUE(at::equal(got.labels, expected.labels)) << step << ", " << threads << " ahead";
    }
  }
}

TEST(Data, ModelRangeIsMinusOneToOne) {
  const auto range = to_model_range(at::tensor({0, 255}, at::kByte));
  EXPECT_FLOAT_EQ(range[0].item<float>(), -1.0f);
  EXPECT_FLOAT_EQ(range[1].item<float>(), 1.0f);
}

TEST(Data, OneNamePerClass) { EXPECT_EQ(solid_names().size(), kSolidNames.size()); }

}  // namespace
}  // namespace switchyard::data

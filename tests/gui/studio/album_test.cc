// The patches of an expert, over all runs.
#include "app/gui/studio/album.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

class AlbumOfRuns : public StudioAtWork {
 protected:
  void open(const std::filesystem::path& model) {
    studio().open(model);
    ASSERT_TRUE(until([&] { return !studio().opening(); }));
    studio().form.fresh_seed = false;
    studio().form.settings.grid.steps = 3;
    studio().form.count = 2;
  }
};

TEST_F(AlbumOfRuns, HoldsTheStrongestOfAllRunsOfTheModel) {
  open(tiny_model("one.safetensors"));
  std::vector<int64_t> ids;
  for (const uint64_t seed : {1, 2}) {
    studio().form.seed = seed;
    ids.push_back(drawn());
  }
  open(tiny_model("other.safetensors"));
  const auto foreign = drawn();

  // By hand: of each patch of each image the greatest weight.
  const ExpertOf whom{.model = "one", .layer = 1, .expert = 2};
  std::vector<double> wanted;
  for (const auto id : ids) {
    const auto& record = studio().run(id)->records.at(0);
    for (int64_t image = 0; image < 2; ++image) {
      at::Tensor best;
      for (int64_t step = 0; step < 3; ++step) {
        const auto map = pipeline::patch_map(record, {image, step, 1}, 2, pipeline::Measure::weight);
        best = best.defined() ? at::maximum(best, map) : map;
      }
      for (int64_t p = 0; p < best.numel(); ++p)
        if (best[p].item<float>() > 0) wanted.push_back(best[p].item<float>());
    }
  }
  std::ranges::sort(wanted, std::greater());
  Album album;
  for (const size_t count : {size_t{5}, size_t{1000}}) {
    const auto found = album.of(studio().runs(), whom, count);
    ASSERT_EQ(found.size(), std::min(count, wanted.size()));
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i].patch.weight, wanted[i]);
      EXPECT_NE(found[i].run, foreign);
    }
  }
  studio().forget(ids[0]);
  for (const auto& one : album.of(studio().runs(), whom, 5)) EXPECT_EQ(one.run, ids[1]);
  EXPECT_TRUE(album.of(studio().runs(), {.model = "one", .half = pipeline::Half::difference}, 5).empty());
}

// An image of 3 x 3 patches of 2 x 2 pixels, each of which holds its patch's number.
TEST(Crop, IsThePatchWithItsSurroundings) {
  const auto numbers = at::arange(9, at::kByte).view({3, 3, 1});
  const auto image = numbers.repeat_interleave(2, 0).repeat_interleave(2, 1);
  struct {
    int64_t patch, around, corner, size, x, y;
  } const cases[] = {
      {4, 0, 4, 2, 0, 0}, {8, 0, 8, 2, 0, 0}, {4, 1, 0, 6, 2, 2}, {0, 1, 0, 6, 0, 0}, {5, 7, 0, 6, 4, 2}};
  for (const auto& c : cases) {
    const auto crop = crop_of(image, c.patch, 3, c.around);
    EXPECT_EQ(crop.pixels.sizes(), at::IntArrayRef({c.size, c.size, 1}));
    EXPECT_EQ(crop.pixels[0][0].item<int64_t>(), c.corner);
    EXPECT_EQ(crop.x, c.x);
    EXPECT_EQ(crop.y, c.y);
    EXPECT_TRUE(crop.pixels.slice(0, crop.y, crop.y + crop.patch_size)
                    .slice(1, crop.x, crop.x + crop.patch_size)
                    .eq(c.patch)
                    .all()
                    .item<bool>());
  }
  const auto wide = at::zeros({10, 10, 1}, at::kByte);  // 5 x 5 patches
  EXPECT_EQ(crop_of(wide, 24, 5, 1).pixels.size(0), 6);
  EXPECT_EQ(crop_of(wide, 24, 5, 1).x, 4);
}

}  // namespace
}  // namespace switchyard::studio

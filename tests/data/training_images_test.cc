// What a model learns from: the same images for the same step, whoever asks and when.
#include "data/training_images.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "../io/scratch.h"
#include "data/solids.h"
#include "io/error.h"

namespace switchyard::data {
namespace {

TEST(SolidsToLearn, AreTheImagesOfTheStep) {
  const auto solids = solids_to_learn(16);
  const auto batch = solids->batch(3, 7);
  ASSERT_EQ(batch.images.sizes(), (at::IntArrayRef{7, 3, 16, 16}));
  std::vector<uint8_t> rgb(16 * 16 * 3);
  for (int64_t i = 0; i < 7; ++i) {
    const auto index = static_cast<uint64_t>(3 * 7 + i);
    render_solid(Split::train, index, 16, rgb);
    const auto expected = at::from_blob(rgb.data(), {16, 16, 3}, at::kByte).permute({2, 0, 1});
    EXPECT_TRUE(at::equal(batch.images[i], expected)) << i;
    EXPECT_EQ(batch.labels[i].item<int64_t>(), solid_class(Split::train, index)) << i;
  }
  EXPECT_EQ(solids->class_names().size(), kSolidNames.size());
}

// Image i is all of the grey i but for its first column; of some, reading fails.
class Greys : public ImageSource {
 public:
  Greys(int64_t count, std::set<int64_t> broken = {}, std::vector<int64_t> labels = {})
      : count_(count), broken_(std::move(broken)), labels_(std::move(labels)) {}
  int64_t size() const override { return count_; }
  std::string name() const override { return "greys"; }
  SourceImage read(int64_t i) const override {
    if (broken_.contains(i)) throw io::InputError("grey " + std::to_string(i) + ": damaged");
    auto pixels = at::full({8, 8, 3}, i, at::kByte);
    pixels.select(1, 0).fill_(255);
    return {pixels, label_of(i), name_of(i)};
  }
  int64_t label_of(int64_t i) const override {
    return labels_.empty() ? -1 : labels_.at(static_cast<size_t>(i));
  }
  std::string name_of(int64_t i) const override { return "grey " + std::to_string(i); }

 private:
  int64_t count_;
  std::set<int64_t> broken_;
  std::vector<int64_t> labels_;
};

// Which images a batch has, and how many of them are mirrored.
struct Seen {
  std::vector<int64_t> greys;
  int64_t mirrored = 0;
};
Seen seen(const Batch& batch) {
  Seen result;
  for (int64_t i = 0; i < batch.images.size(0); ++i) {
    result.greys.push_back(batch.images[i][0][0][4].item<int64_t>());
    result.mirrored += batch.images[i][0][0][7].item<int64_t>() == 255;
  }
  return result;
}

TEST(PicturesToLearn, AreAllSeenOnceInEveryEpochInAnotherOrder) {
  const auto pictures = pictures_to_learn(std::make_shared<Greys>(31), {.size = 8});
  std::vector<int64_t> all;
  for (int64_t step = 0; step < 31; ++step)  // 7 epochs in 31 steps of 7
    for (const int64_t grey : seen(pictures->batch(step, 7)).greys) all.push_back(grey);
  std::set<std::vector<int64_t>> orders;
  for (auto begin = all.begin(); begin != all.end(); begin += 31) {
    EXPECT_EQ(std::set<int64_t>(begin, begin + 31).size(), 31u);
    orders.insert({begin, begin + 31});
  }
  EXPECT_EQ(orders.size(), 7u);
}

TEST(PicturesToLearn, OfAStepAreTheSameWheneverAsked) {
  for (const int64_t most_bytes : {0, 1 << 20}) {
    const PictureOptions options{.size = 8, .seed = 3, .most_bytes = most_bytes};
    const auto source = std::make_shared<Greys>(33);
    const auto run = pictures_to_learn(source, options), resumed = pictures_to_learn(source, options);
    for (int64_t step = 0; step < 20; ++step) run->batch(step, 5);
    EXPECT_TRUE(at::equal(run->batch(20, 5).images, resumed->batch(20, 5).images)) << most_bytes;
  }
}

TEST(PicturesToLearn, AreMirroredHalfTheTimeWhereAsked) {
  const auto source = std::make_shared<Greys>(200);
  EXPECT_EQ(seen(pictures_to_learn(source, {.size = 8, .flip = false})->batch(0, 200)).mirrored, 0);
  const auto mirrored = seen(pictures_to_learn(source, {.size = 8})->batch(0, 200)).mirrored;
  EXPECT_GT(mirrored, 60);  // six standard deviations
  EXPECT_LT(mirrored, 140);
}

TEST(PicturesToLearn, ThatCannotBeReadAreNamedOnceAndOthersStandIn) {
  const auto pictures = pictures_to_learn(std::make_shared<Greys>(10, std::set<int64_t>{3, 4}), {.size = 8});
  std::set<int64_t> greys;
  for (int64_t step = 0; step < 4; ++step)
    for (const int64_t grey : seen(pictures->batch(step, 10)).greys) greys.insert(grey);
  EXPECT_EQ(greys, (std::set<int64_t>{0, 1, 2, 5, 6, 7, 8, 9}));
  auto problems = pictures->take_problems();
  std::ranges::sort(problems);
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_TRUE(problems[0].starts_with("grey 3: damaged (")) << problems[0];
  EXPECT_TRUE(problems[1].ends_with(" of 10 images cannot be read)")) << problems[1];
  EXPECT_TRUE(pictures->take_problems().empty());
}

TEST(PicturesToLearn, OfWhichNoneCanBeReadAreAnError) {
  const auto pictures = pictures_to_learn(std::make_shared<Greys>(2, std::set<int64_t>{0, 1}), {.size = 8});
  EXPECT_EQ(io::message_of<io::InputError>([&] { pictures->batch(0, 1); }),
            "greys: none of its 2 images can be read");
}

TEST(PicturesToLearn, CountTheirClassesFromZero) {
  const std::set<int64_t> none;
  const auto numbered = pictures_to_learn(
      std::make_shared<Greys>(4, none, std::vector<int64_t>{207, 9, 207, 281}), {.size = 8, .flip = false});
  EXPECT_EQ(numbered->class_names(), (std::vector<std::string>{"9", "207", "281"}));
  const auto batch = numbered->batch(0, 4);
  const std::map<int64_t, int64_t> expected = {{0, 1}, {1, 0}, {2, 1}, {3, 2}};
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(batch.labels[i].item<int64_t>(), expected.at(batch.images[i][0][0][4].item<int64_t>()));
  const auto without =
      pictures_to_learn(std::make_shared<Greys>(2, none, std::vector<int64_t>{1, -1}), {.size = 8});
  EXPECT_EQ(without->class_names(), std::vector<std::string>{"picture"});
  EXPECT_EQ(without->batch(0, 2).labels.sum().item<int64_t>(), 0);
}

TEST(PicturesToLearn, AreToldApart) {
  const auto identity = [](int64_t count) {
    return pictures_to_learn(std::make_shared<Greys>(count), {.size = 8})->identity();
  };
  EXPECT_TRUE(identity(5).starts_with("5 images of 1 class, "));
  EXPECT_EQ(identity(5), identity(5));
  EXPECT_NE(identity(5), identity(6));
}

TEST(BatchesAhead, GoOnWhereTheyStart) {
  const auto solids = solids_to_learn(16);
  for (const int threads : {1, 3}) {
    BatchesAhead ahead(solids, 5, 4, threads);
    for (int64_t step = 5; step < 10; ++step) {
      const auto got = ahead.next(), expected = solids->batch(step, 4);
      EXPECT_TRUE(at::equal(got.images, expected.images)) << step << ", " << threads << " ahead";
      EXPECT_TRUE(at::equal(got.labels, expected.labels)) << step << ", " << threads << " ahead";
    }
  }
}

TEST(BatchesAhead, AreInTheModelsRange) {
  const auto range = to_model_range(at::tensor({0, 255}, at::kByte));
  EXPECT_FLOAT_EQ(range[0].item<float>(), -1.0f);
  EXPECT_FLOAT_EQ(range[1].item<float>(), 1.0f);
}

}  // namespace
}  // namespace switchyard::data

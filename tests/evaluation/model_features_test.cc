#include "evaluation/model_features.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "../io/scratch.h"
#include "../pipeline/planted_model.h"
#include "io/error.h"

namespace switchyard::evaluation {
namespace {

// Features that name their image: its mean and its deviation.
class MeanAndDeviation : public metrics::FeatureNetwork {
 public:
  MeanAndDeviation() {
    facts_.name = "mean and deviation";
    facts_.dimension = 2;
    facts_.hash = "0123456789abcdef";
  }
  const metrics::NetworkFacts& facts() const override { return facts_; }
  metrics::Features operator()(at::ArrayRef<at::Tensor> images) const override {
    std::vector<at::Tensor> rows;
    for (const auto& image : images) {
      const auto pixels = image.to(at::kFloat);
      rows.push_back(at::stack({pixels.mean(), pixels.std()}));
    }
    return {.features = at::stack(rows), .spatial = {}, .logits = {}};
  }

 private:
  metrics::NetworkFacts facts_;
};

class ModelFeatures : public io::Scratch {
 protected:
  pipeline::ImagePlan plan(int64_t count, int steps = 2) const {
    return pipeline::balanced_plan(session_.config(), {0, 1, 2}, pipeline::Balance::equal, count, 0,
                                   {.settings = {.grid = {.steps = steps}}});
  }
  std::optional<metrics::FeatureSet> features(int64_t count, const ModelFeaturesOptions& options = {},
                                              const pipeline::PlanObserver& observer = {}, int steps = 2) {
    return features_of(session_, plan(count, steps), network_, options, observer);
  }

  MeanAndDeviation network_;
  pipeline::Session session_{pipeline::planted_model()};
};

TEST_F(ModelFeatures, AreThoseOfTheImagesInOrder) {
  const auto set = features(65);
  ASSERT_TRUE(set);
  EXPECT_EQ(set->size(), 65);
  EXPECT_EQ(set->labels[64].item<int64_t>(), 1);
  std::vector<at::Tensor> pixels;
  const auto whole = plan(65);
  session_.draw({.images = whole.images, .settings = whole.variants[0].settings},
                {.image_finished = [&](const auto& image) { return pixels.push_back(image.pixels), true; }});
  EXPECT_TRUE(at::equal(set->features, network_(pixels).features));
}

TEST_F(ModelFeatures, KeptOnesAreNotDrawnAgain) {
  const ModelFeaturesOptions options{.batch_size = 7, .keep = file("kept")};
  int64_t batches = 0;
  const auto stop_early = [&](const pipeline::PlanProgress& now) { return now.drawn < 75; };
  EXPECT_FALSE(features(150, options, {.progress = stop_early}));
  double there = -1;
  const auto set = features(150, options, {.progress = [&](const pipeline::PlanProgress& now) {
                              there = static_cast<double>(now.there);
                              return ++batches > 0;
                            }});
  ASSERT_TRUE(set);
  EXPECT_EQ(there, 64) << "a whole file of features";
  EXPECT_TRUE(at::equal(set->features, features(150)->features));
  there = -1;
  EXPECT_TRUE(at::equal(features(200, options,
                                 {.progress =
                                      [&](const auto& now) {
                                        there = static_cast<double>(now.there);
                                        return true;
                                      }})
                            ->features,
                        features(200)->features));
  EXPECT_EQ(there, 128) << "the last file was of a smaller set";
}

TEST_F(ModelFeatures, KeptOnesOfOtherImagesAreRefused) {
  const ModelFeaturesOptions options{.keep = file("kept")};
  ASSERT_TRUE(features(3, options));
  EXPECT_TRUE(
      io::contains(io::message_of<io::InputError>([&] { features(3, options, {}, 4); }), "settings.steps"));
}

}  // namespace
}  // namespace switchyard::evaluation

#include "pipeline/muting.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "painting_model.h"

namespace switchyard::pipeline {
namespace {

Drawn drawn(Session& session, const Request& request) {
  Drawn all;
  Observer observer;
  observer.routing = all.routing.emplace(session.config(), request).recorder();
  observer.image_finished = [&](const ImageFinished& image) {
    all.pixels.push_back(image.pixels);
    return true;
  };
  EXPECT_TRUE(session.draw(request, observer));
  return all;
}

Request two_images() {
  Request request{.images = {{.label = 0, .seed = 1}, {.label = 1, .seed = 2}}};
  request.settings.grid.steps = 3;
  request.batch_size = 1;
  return request;
}

// Every patch chooses two experts of four. Muting one changes a choice of half of the patches, in one layer of three or
// in all of them. Only the layer that paints, and there only the experts that do, change pixels.
struct Case {
  int64_t layer, expert;
  double choices;
  bool pixels;
};

class Mutings : public ::testing::TestWithParam<Case> {};

TEST_P(Mutings, AreWorthWhatWasPlanted) {
  const auto& [layer, expert, choices, pixels] = GetParam();
  Session session(painting_model({0, 0, 3, 0}));
  const auto request = two_images();
  const auto before = drawn(session, request);
  double last = 0;
  const auto effect =
      effect_of_muting(session, request, before, Router::tokens, layer, expert, {}, [&](double done) {
        EXPECT_GT(done, last);
        last = done;
      });
  ASSERT_TRUE(effect);
  EXPECT_NEAR(effect->choices, choices, 1e-9);
  EXPECT_EQ(effect->pixels > 0, pixels) << effect->pixels;
  EXPECT_EQ(last, 1);
}

INSTANTIATE_TEST_SUITE_P(Planted, Mutings,
                         ::testing::Values(Case{0, 0, 0.25 / 3, false}, Case{2, 2, 0.25 / 3, false},
                                           Case{kPaintingLayer, 2, 0.25 / 3, true}, Case{-1, 2, 0.25, true},
                                           Case{-1, 1, 0.25, true}));  // expert 2 takes its patches in part

TEST(Muting, OfNothingNewChangesNothing) {
  Session session(painting_model({0, 1, 2, 3}));
  auto request = two_images();
  request.recipe = {{.experts = {2}}};
  const auto before = drawn(session, request);
  EXPECT_EQ(effect_of_muting(session, request, before, Router::tokens, 1, 2), (MutingEffect{0, 0}));
}

TEST(Muting, PixelsAreMeansOverEverything) {
  const auto dark = at::zeros({2, 2, 3}, at::kByte);
  auto one = dark.clone();
  one[0][0][0] = 12;
  const auto effect = effect_between({.pixels = {dark, dark}}, {.pixels = {one, dark}});
  EXPECT_EQ(effect.pixels, 0.5);
  EXPECT_TRUE(std::isnan(effect.choices));
  EXPECT_THROW(effect_between({.pixels = {dark}}, {.pixels = {dark, dark}}), std::invalid_argument);
}

TEST(Muting, StopsAndRefusesTheImpossible) {
  Session session(painting_model({0, 1, 2, 3}));
  auto request = two_images();
  const auto before = drawn(session, request);
  EXPECT_FALSE(effect_of_muting(session, request, before, Router::tokens, 1, 2, [] { return true; }));
  request.recipe = {{.experts = {0, 1, 3}}};
  EXPECT_THROW(effect_of_muting(session, request, before, Router::tokens, 1, 2), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::pipeline

#include "app/gui/studio/selection.h"

#include <gtest/gtest.h>

namespace switchyard::studio {
namespace {

OpenedModel model_with(const char* preset) {
  OpenedModel model;
  model.config = dit::preset(preset);
  return model;
}

Run run_of(const OpenedModel& model, int steps) {
  pipeline::Request request{.images = {{0, 1}, {0, 2}}};
  request.settings.grid.steps = steps;
  return Run(1, request, model);
}

TEST(Selection, IsBroughtIntoTheRun) {
  auto run = run_of(model_with("tiny"), 4);
  run.begin();
  Selection selection{.image = 9,
                      .step = 9,
                      .layer = 99,
                      .follow = false,
                      .router = pipeline::Router::timesteps,
                      .expert = 99,
                      .patch = 9999};
  EXPECT_EQ(selection.clamp(run), &run.records[0]);
  EXPECT_EQ(selection, (Selection{.image = 1, .step = 3, .layer = run.config.depth - 1, .follow = false}));
}

TEST(Selection, KeepsWhatIsThere) {
  auto run = run_of(model_with("tiny-switch-dit-moe"), 4);
  run.begin();
  Selection selection{.image = 1,
                      .step = 2,
                      .layer = 1,
                      .follow = false,
                      .router = pipeline::Router::timesteps,
                      .expert = 1,
                      .patch = 0};
  const auto before = selection;
  EXPECT_EQ(selection.clamp(run), run.record(pipeline::Router::timesteps));
  EXPECT_EQ(selection, before);
}

TEST(Selection, FollowsTheNewestStep) {
  auto run = run_of(model_with("tiny"), 4);
  Selection selection{.step = 3};
  selection.clamp(run);
  EXPECT_EQ(selection.step, 0) << "nothing is drawn yet";
  StepShown event{1, 0, 2, 4, {at::zeros({2, 2, 3}, at::kByte)}, 0.1, 0.75};
  run.apply(event);
  selection.clamp(run);
  EXPECT_EQ(selection.step, 2);
  selection.follow = false;
  selection.step = 1;
  selection.clamp(run);
  EXPECT_EQ(selection.step, 1);
}

TEST(Selection, SpansOneStepOrAll) {
  Selection selection{.image = 1, .step = 2};
  EXPECT_EQ(selection.span().images, std::vector<int64_t>{1});
  EXPECT_EQ(selection.span().first_step, 2);
  EXPECT_EQ(selection.span().last_step, 2);
  selection.whole_range = true;
  EXPECT_TRUE(selection.span(true).images.empty());
  EXPECT_EQ(selection.span().first_step, 0);
  EXPECT_EQ(selection.span().last_step, -1);
}

// A model without experts has nothing to look at.
TEST(Selection, HasNoRecordWhereNothingIsRouted) {
  auto model = model_with("tiny");
  model.config = dit::preset("dit-s/2");
  auto run = run_of(model, 2);
  run.begin();
  Selection selection{.expert = 0};
  EXPECT_EQ(selection.clamp(run), nullptr);
  EXPECT_FALSE(selection.expert);
}

// The previews of a large run do not fill the memory, and scrubbing still finds one near.
TEST(RunPreviews, StayWithinTheirLimit) {
  auto run = run_of(model_with("tiny"), 1000);
  for (int step = 0; step < 1000; ++step) {
    StepShown event{
        1, 0, step, 1000, {at::empty({512, 512, 3}, at::kByte), at::empty({1, 1, 3}, at::kByte)}, 0.1, 0.5};
    run.apply(event);
  }
  int64_t bytes = 0;
  for (const auto& preview : run.images[0].previews) bytes += preview.defined() ? preview.numel() : 0;
  EXPECT_LT(bytes, int64_t{600} << 20);
  EXPECT_GT(bytes, int64_t{100} << 20);
  for (int64_t step = 0; step < 1000; ++step) ASSERT_TRUE(run.preview_at(0, step).defined()) << step;
  EXPECT_TRUE(run.images[0].previews[999].defined()) << "the newest is always there";
}

}  // namespace
}  // namespace switchyard::studio

// What is measured of runs in the background: kept, cancelled, gone on with, in turn with what is drawn.
#include "app/gui/studio/studies.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "app/gui/studio/model_files.h"
#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

using pipeline::Router;
using Status = StudyState::Status;

class StudiesOfARun : public StudioAtWork {
 protected:
  void SetUp() override {
    studio().open(tiny_model("tiny.safetensors"));
    ASSERT_TRUE(until([&] { return !studio().opening(); }));
    studio().form.fresh_seed = false;
    studio().form.seed = 7;
    studio().form.count = 2;
    studio().form.settings.grid.steps = 3;
    id_ = drawn();
  }
  const studio::Run& run() { return *studio().run(id_); }
  ::testing::AssertionResult ranked() {
    return until([&] { return !run().studies.ranking; });
  }

  int64_t id_ = -1;
};

TEST_F(StudiesOfARun, RankingMeasuresEveryExpertOfALayerAndThenTheRest) {
  studio().rank(id_, Router::tokens, 1);
  ASSERT_TRUE(ranked());
  const auto layer = run().studies.ranked(Router::tokens, 1);
  EXPECT_EQ(layer.all, 4);
  EXPECT_EQ(layer.measured, 4);
  EXPECT_EQ(layer.progress, 1);
  const auto first = run().studies.mutings;
  studio().rank(id_, Router::tokens, -1);
  ASSERT_TRUE(ranked());
  EXPECT_EQ(run().studies.ranked(Router::tokens, -1).measured, 8);
  for (const auto& study : first) {  // not measured again
    const auto now =
        std::ranges::find_if(run().studies.mutings, [&](const auto& s) { return s.asked == study.asked; });
    EXPECT_EQ(now->seconds, study.seconds);
  }
  const auto sorted = run().studies.by_effect(Router::tokens, -1);
  ASSERT_EQ(sorted.size(), 8u);
  EXPECT_TRUE(
      std::ranges::is_sorted(sorted, std::greater(), [](const auto* s) { return s->answer->pixels; }));
}

// What the ranking says of an expert is what muting it by hand shows.
TEST_F(StudiesOfARun, RankingIsWhatMutingShows) {
  studio().rank(id_, Router::tokens, 0);
  ASSERT_TRUE(ranked());
  const auto again = studio().mute(0, 2);
  ASSERT_TRUE(again);
  ASSERT_TRUE(ended(*again));
  double difference = 0;
  for (size_t i = 0; i < 2; ++i) {
    difference += (run().images[i].pixels.to(at::kInt) - studio().run(*again)->images[i].pixels.to(at::kInt))
                      .abs()
                      .to(at::kDouble)
                      .mean()
                      .item<double>() /
                  2;
  }
  const auto table = run().studies.effects(Router::tokens, 2, 4, &pipeline::MutingEffect::pixels);
  EXPECT_NEAR(table[0][2].item<float>(), difference, 1e-5);
  EXPECT_TRUE(table[1].isnan().all().item<bool>());
  const auto choices = run().studies.effects(Router::tokens, 2, 4, &pipeline::MutingEffect::choices);
  EXPECT_NEAR(choices[0][2].item<float>(),
              pipeline::changed_choices_of_all(run().records[0], studio().run(*again)->records[0]), 1e-6);
}

TEST_F(StudiesOfARun, RankingStopsAndGoesOnWhereItWas) {
  studio().form.settings.grid.steps = 60;
  id_ = drawn();
  studio().rank(id_, Router::tokens, -1);
  ASSERT_TRUE(until([&] { return run().studies.ranked(Router::tokens, -1).measured >= 2; }));
  studio().stop_ranking(id_);
  ASSERT_TRUE(until([&] { return run().studies.under_way().empty(); }));
  const auto measured = run().studies.ranked(Router::tokens, -1).measured;
  EXPECT_LT(measured, 8);
  EXPECT_FALSE(run().studies.ranking);
  studio().rank(id_, Router::tokens, -1);
  ASSERT_TRUE(ranked());
  EXPECT_EQ(run().studies.ranked(Router::tokens, -1).measured, 8);
}

// Esc: at first what is drawn, then what is measured.
TEST_F(StudiesOfARun, CancellingStopsTheDrawingThenTheRanking) {
  studio().form.settings.grid.steps = 2000;
  studio().rank(id_, Router::tokens, -1);
  const auto other = studio().draw();
  ASSERT_TRUE(other);
  ASSERT_TRUE(until([&] { return studio().drawing() != nullptr; }));
  studio().cancel();
  ASSERT_TRUE(ended(*other));
  EXPECT_EQ(studio().run(*other)->status, Run::Status::cancelled);
  EXPECT_TRUE(run().studies.ranking);
  studio().cancel();
  EXPECT_FALSE(run().studies.ranking);
  EXPECT_EQ(studio().status().text, "Stopped measuring " + run().title());
  ASSERT_TRUE(until([&] { return run().studies.under_way().empty(); }));
  EXPECT_LT(run().studies.ranked(Router::tokens, -1).measured, 8);
  studio().say("");
  studio().cancel();  // nothing left
  EXPECT_EQ(studio().status().text, "");
}

TEST_F(StudiesOfARun, DrawingGoesBetween) {
  studio().form.settings.grid.steps = 30;
  id_ = drawn();
  studio().rank(id_, Router::tokens, -1);
  ASSERT_TRUE(until([&] { return !run().studies.under_way().empty(); }));
  const auto other = drawn();
  EXPECT_EQ(studio().run(other)->status, Run::Status::done);
  EXPECT_LT(run().studies.ranked(Router::tokens, -1).measured, 8)
      << "the drawing waited for all of the ranking";
  ASSERT_TRUE(ranked());
  EXPECT_EQ(run().studies.ranked(Router::tokens, -1).measured, 8);
}

TEST_F(StudiesOfARun, AnotherModelStopsTheRanking) {
  studio().form.settings.grid.steps = 60;
  id_ = drawn();
  studio().rank(id_, Router::tokens, -1);
  studio().open_embedded();
  ASSERT_TRUE(until([&] { return !studio().opening() && run().studies.under_way().empty(); }));
  EXPECT_FALSE(run().studies.ranking);
  EXPECT_LT(run().studies.ranked(Router::tokens, -1).measured, 8);
  EXPECT_NE(studio().why_not_study(id_), "");
  studio().rank(id_, Router::tokens, -1);
  expect_error("was drawn by another model");
}

TEST_F(StudiesOfARun, ForgettingARunForgetsWhatWasAsked) {
  studio().rank(id_, Router::tokens, -1);
  studio().forget(id_);
  EXPECT_EQ(studio().run(id_), nullptr);
  const auto other = drawn();  // the worker goes on
  EXPECT_EQ(studio().run(other)->status, Run::Status::done);
}

TEST_F(StudiesOfARun, WhatIfIsWhatASessionSays) {
  const pipeline::WhatIfQuestion question{.image = 1, .step = 1, .layer = 1, .patch = 5};
  studio().ask_what_if(id_, question);
  ASSERT_TRUE(until([&] { return run().studies.under_way().empty(); }));
  const auto* study = run().studies.what_if(question);
  ASSERT_NE(study, nullptr);
  ASSERT_EQ(study->status, Status::done) << study->message;
  pipeline::Session session({.model = studio().model()->source});
  const auto wanted = pipeline::what_if(session, run().request, question, run().final_prediction(1));
  ASSERT_EQ(study->answer->experts.size(), wanted->experts.size());
  for (size_t i = 0; i < wanted->experts.size(); ++i) {
    EXPECT_EQ(study->answer->experts[i].expert, wanted->experts[i].expert);
    EXPECT_EQ(study->answer->experts[i].error.patch, wanted->experts[i].error.patch);
  }
  EXPECT_GT(study->answer->drawn.image, 0);
}

TEST_F(StudiesOfARun, ContentOrPlaceHasAScorePerLayerAndExpert) {
  studio().ask_content_or_place(id_, {0, 2});
  ASSERT_TRUE(until([&] { return run().studies.under_way().empty(); }));
  const auto* study = run().studies.content({0, 2});
  ASSERT_NE(study, nullptr);
  ASSERT_EQ(study->status, Status::done) << study->message;
  const auto& score = study->answer->shifted;
  EXPECT_EQ(score.sizes(), at::IntArrayRef({2, 4}));
  EXPECT_TRUE(score.ge(0).logical_and(score.le(1)).logical_or(score.isnan()).all().item<bool>());
}

TEST_F(StudiesOfARun, QuestionsOutsideAreFailuresAndTheWorkerLivesOn) {
  studio().ask_what_if(id_, {.image = 0, .step = 1, .layer = 9, .patch = 0});
  ASSERT_TRUE(until([&] { return run().studies.under_way().empty(); }));
  EXPECT_EQ(run().studies.what_ifs.at(0).status, Status::failed);
  expect_error("layer 9 is not in 0 .. 1");
  studio().ask_content_or_place(id_, {0, 77});
  EXPECT_EQ(studio().status().kind, studio::Status::Kind::error);
  EXPECT_TRUE(until([&] { return run().studies.under_way().empty(); }));
}

TEST_F(StudiesOfARun, ModelsThatRouteTimestepsShowTheirGate) {
  EXPECT_EQ(run().gate, nullptr);
  studio().open(tiny_model("switch.safetensors", "tiny-switch-dit-moe"));
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  studio().form.settings.grid.steps = 3;
  id_ = drawn();
  ASSERT_NE(run().gate, nullptr);
  EXPECT_EQ(run().gate->probabilities.sizes(), at::IntArrayRef({2, 1000, 3}));
  studio().rank(id_, Router::timesteps, 0);
  ASSERT_TRUE(ranked());
  EXPECT_EQ(run().studies.ranked(Router::timesteps, 0).measured, 3) << studio().status().text;
}

}  // namespace
}  // namespace switchyard::studio

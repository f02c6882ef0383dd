// Drawing: what comes of it, the queue, cancelling, failures, comparing.
#include <ATen/ATen.h>

#include <chrono>
#include <set>

#include "app/gui/studio/model_files.h"
#include "app/gui/studio/reason.h"
#include "pipeline/metadata.h"
#include "pipeline/routing_views.h"
#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

class Drawing : public StudioAtWork {
 protected:
  void SetUp() override { open_embedded(); }

  // A run that would take minutes, once it has begun.
  int64_t long_run() {
    studio().form.settings.grid.steps = 5000;
    const auto id = studio().draw();
    EXPECT_TRUE(until([&] { return studio().drawing() != nullptr && studio().drawing()->progress > 0; }));
    return id.value_or(-1);
  }
};

TEST_F(Drawing, GivesWhatASessionGives) {
  studio().form.label = 1;
  studio().form.count = 3;
  studio().form.batch = 2;
  const auto* run = studio().run(drawn());
  ASSERT_EQ(run->status, Run::Status::done) << run->message;

  pipeline::Session session({.model = embedded_model()});
  pipeline::RoutingRecord record(session.config(), run->request);
  std::vector<at::Tensor> pixels;
  std::vector<std::vector<at::Tensor>> previews(3);
  pipeline::Observer observer;
  observer.previews = true;
  observer.routing = record.recorder();
  observer.step_done = [&](const pipeline::StepDone& step) {
    for (int64_t i = 0; i < step.images; ++i)
      previews[static_cast<size_t>(step.first_image + i)].push_back(pipeline::to_pixels(step.preview[i]));
    return true;
  };
  observer.image_finished = [&](const pipeline::ImageFinished& image) {
    pixels.push_back(image.pixels);
    return true;
  };
  ASSERT_TRUE(session.draw(run->request, observer));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(run->request.images[i].seed, 7 + i);
    EXPECT_TRUE(at::equal(run->images[i].pixels, pixels[i]));
    EXPECT_EQ(run->images[i].text, session.text_of(run->request, i));
    ASSERT_EQ(previews[i].size(), 3u);
    for (size_t s = 0; s < 3; ++s) EXPECT_TRUE(at::equal(run->images[i].previews[s], previews[i][s])) << s;
  }
  ASSERT_EQ(run->records.size(), 1u);
  EXPECT_TRUE(at::equal(run->records[0].experts, record.experts));
  EXPECT_TRUE(at::equal(run->records[0].evaluated, record.evaluated));
  EXPECT_TRUE(run->records[0].probabilities.defined());
  EXPECT_EQ(run->times.size(), 3u);
  EXPECT_EQ(run->progress, 1);
  EXPECT_EQ(run->title(1), "cube, seed 8");
}

TEST_F(Drawing, ShowsPreviewsAndThenTheImage) {
  const auto& run = *studio().run(drawn());
  EXPECT_TRUE(at::equal(run.shown(0, 2), run.images[0].pixels));
  EXPECT_TRUE(at::equal(run.shown(0, 1), run.images[0].previews[1]));
  EXPECT_FALSE(at::equal(run.shown(0, 0), run.shown(0, 2)));
}

TEST_F(Drawing, FreshSeedsDiffer) {
  studio().form.fresh_seed = true;
  std::set<uint64_t> seeds;
  for (int i = 0; i < 4; ++i) seeds.insert(studio().run(*studio().draw())->request.images[0].seed);
  EXPECT_GE(seeds.size(), 3u);
}

TEST_F(Drawing, CancelInTheMiddleLeavesItUsable) {
  const auto id = long_run();
  const auto start = std::chrono::steady_clock::now();
  studio().cancel();
  ASSERT_TRUE(ended(id));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  const auto& run = *studio().run(id);
  EXPECT_EQ(run.status, Run::Status::cancelled);
  EXPECT_LT(run.progress, 1);
  EXPECT_GT(run.images[0].steps_done, 0);
  EXPECT_FALSE(run.finished(0));
  EXPECT_TRUE(run.shown(0, run.steps() - 1).defined()) << "its last preview stays";

  studio().form.settings.grid.steps = 2;
  EXPECT_EQ(studio().run(drawn())->status, Run::Status::done);
}

TEST_F(Drawing, QueueIsDoneInOrderAndWaitingRunsCanBeCancelled) {
  const auto first = long_run();
  studio().form.settings.grid.steps = 2;
  std::vector<int64_t> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(*studio().draw());
  EXPECT_EQ(studio().waiting(), 3);
  EXPECT_GT(studio().seconds_left(), studio().drawing()->seconds_left);
  EXPECT_EQ(studio().selection.run, first) << "what is being drawn stays in sight";
  studio().cancel(ids[1]);
  ASSERT_TRUE(ended(ids[1]));
  EXPECT_EQ(studio().run(ids[1])->status, Run::Status::cancelled);
  EXPECT_EQ(studio().drawing()->id, first);
  studio().cancel();
  ASSERT_TRUE(ended(ids[0]));
  EXPECT_FALSE(studio().run(ids[2])->ended() && studio().run(ids[2])->seconds == 0);
  ASSERT_TRUE(ended(ids[2]));
  EXPECT_EQ(studio().run(ids[0])->status, Run::Status::done);
  EXPECT_EQ(studio().run(ids[2])->status, Run::Status::done);
}

TEST_F(Drawing, AllCanBeCancelled) {
  const auto first = long_run();
  const auto second = *studio().draw(), third = *studio().draw();
  studio().cancel_all();
  for (const auto id : {first, second, third}) {
    ASSERT_TRUE(ended(id));
    EXPECT_EQ(studio().run(id)->status, Run::Status::cancelled);
  }
}

TEST_F(Drawing, ARunCanBeForgottenWhileItIsDrawn) {
  const auto first = long_run();
  studio().forget(first);
  EXPECT_EQ(studio().selected(), nullptr);
  studio().form.settings.grid.steps = 2;
  const auto second = drawn();
  EXPECT_EQ(studio().run(first), nullptr);
  EXPECT_EQ(studio().runs().size(), 1u);
  EXPECT_EQ(studio().run(second)->status, Run::Status::done);
}

TEST_F(Drawing, ClosingInTheMiddleTakesLessThanASecond) {
  long_run();
  studio().draw();
  studio().open(tiny_model("tiny.safetensors"));
  const auto start = std::chrono::steady_clock::now();
  end();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
}

TEST_F(Drawing, WhatCannotBeDrawnIsSaidAtOnce) {
  const auto classes = studio().model()->config.num_classes;
  studio().form.label = classes + 1;
  const auto why = "the model has no class " + std::to_string(classes + 1);
  EXPECT_EQ(studio().why_not_draw(), why);
  EXPECT_FALSE(studio().draw());
  expect_error(why);
  studio().form.label = classes;  // no class
  EXPECT_EQ(studio().why_not_draw(), "");
  studio().form.settings.grid.steps = 0;
  EXPECT_EQ(studio().why_not_draw(), "steps is 0, expected 1 .. 10000");
  EXPECT_TRUE(studio().runs().empty());
}

TEST_F(Drawing, AnImpossibleRecipeFailsWithItsReason) {
  for (int64_t e = 0; e < 8; ++e)
    studio().edits.list.push_back({.edit = mute(pipeline::Router::tokens, 2, e)});
  const auto* run = studio().run(drawn());
  EXPECT_EQ(run->status, Run::Status::failed);
  EXPECT_FALSE(run->message.empty());
  expect_error(run->message);
  studio().edits.list.pop_back();
  EXPECT_EQ(studio().run(drawn())->status, Run::Status::done);
}

TEST_F(Drawing, MutingDrawsTheSameSeedBeside) {
  const auto first = drawn();
  const auto& a = *studio().run(first);
  const int64_t layer = 3, expert = pipeline::winner_map(a.records[0], {0, 0, layer})[100].item<int64_t>();
  const auto second = studio().mute(layer, expert);
  ASSERT_TRUE(second) << studio().status().text;
  EXPECT_EQ(studio().selection.run, first);
  EXPECT_EQ(studio().selection.other, *second);
  ASSERT_TRUE(ended(*second));
  const auto& b = *studio().run(*second);
  ASSERT_EQ(b.status, Run::Status::done) << b.message;
  EXPECT_EQ(b.beside, first);
  EXPECT_EQ(b.request.images[0].seed, a.request.images[0].seed);

  const auto load = [&](const switchyard::studio::Run& run) {
    return pipeline::atlas(run.records[0], {}, pipeline::Measure::tokens).loads[layer][expert].item<float>();
  };
  EXPECT_GT(load(a), 0);
  EXPECT_EQ(load(b), 0);
  const auto moved = pipeline::changed_choices(a.records[0], {0, 0, layer}, b.records[0], {0, 0, layer});
  const auto had = pipeline::patch_map(a.records[0], {0, 0, layer}, expert, pipeline::Measure::tokens);
  EXPECT_TRUE(at::equal(moved.gt(0), had.gt(0)))
      << "before the first muted layer ends, those patches alone moved";
  EXPECT_GT(pixel_difference(a.images[0].pixels, b.images[0].pixels).max().item<int>(), 0);

  const auto third = studio().mute(layer, expert);  // off again
  ASSERT_TRUE(third);
  ASSERT_TRUE(ended(*third));
  EXPECT_EQ(studio().edits.list.size(), 1u);
  EXPECT_FALSE(studio().edits.list[0].on);
  EXPECT_TRUE(at::equal(studio().run(*third)->images[0].pixels, a.images[0].pixels));
}

TEST_F(Drawing, MutingWithoutARunIsAnEdit) {
  EXPECT_FALSE(studio().mute(0, 1));
  ASSERT_EQ(studio().edits.list.size(), 1u);
  EXPECT_EQ(sentence_of(studio().edits.list[0].edit), "mute expert 1 in layer 0");
}

TEST_F(Drawing, FinishedImagesAreSavedAtOnceWhereSavingIsOn) {
  studio().remembered.save_to = file("drawn");
  studio().form.label = 1;
  const auto& run = *studio().run(drawn());
  const auto png = io::read_png(file("drawn/cube-0007.png"));
  EXPECT_TRUE(at::equal(png.pixels, run.images[0].pixels));
  EXPECT_EQ(png.text, run.images[0].text);
}

// What three runs keep does not fit where two do.
TEST_F(Drawing, OldRunsLetGoOfTheirRouting) {
  const auto first = drawn();
  ASSERT_FALSE(studio().run(first)->records.empty());
  start({.memory = 9 * studio().run(first)->bytes() / 4});
  open_embedded();
  for (int i = 0; i < 4; ++i) drawn();
  std::string kept;
  for (const auto& run : studio().runs()) {
    EXPECT_TRUE(run.finished(0));
    kept += run.records.empty() ? '-' : 'R';
  }
  EXPECT_EQ(kept, "--RR");
  studio().select(studio().runs().front().id);
  EXPECT_NE(studio().selected()->message.find("let go"), std::string::npos);
}

TEST(Reason, OutOfMemoryIsInPlainWords) {
  try {
    at::empty({int64_t{1} << 50}, at::kByte);
    FAIL() << "that much memory was there";
  } catch (...) {
    EXPECT_EQ(reason(), "out of memory");
  }
  try {
    throw std::bad_alloc();
  } catch (...) {
    EXPECT_EQ(reason(), "out of memory");
  }
}

// The queue hands over everything once, in order, and wakes once for as much as nobody took.
TEST(WorkerQueue, WakesWhenThereIsSomethingNew) {
  std::atomic<int> wakes = 0;
  Worker worker([&] { ++wakes; });
  worker.open({.model = embedded_model()});
  pipeline::Request request{.images = {{0, 1}}};
  request.settings.grid.steps = 2;
  worker.draw(1, request);
  worker.draw(2, request);
  std::vector<Event> events;
  const auto ended = [&] {
    int64_t count = 0;
    for (const auto& event : events) count += std::holds_alternative<RunEnded>(event);
    return count;
  };
  std::this_thread::sleep_for(std::chrono::seconds(2));
  while (ended() < 2) {
    for (auto& event : worker.take()) events.push_back(std::move(event));
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_LT(wakes, static_cast<int>(events.size()));
  EXPECT_TRUE(std::holds_alternative<OpenedModel>(events.front()));
  int64_t run = 1;
  for (const auto& event : events) {
    if (const auto* step = std::get_if<StepShown>(&event)) {
      EXPECT_EQ(step->run, run);
    }
    if (const auto* end = std::get_if<RunEnded>(&event)) {
      EXPECT_EQ(end->run, run++);
      EXPECT_EQ(end->how, RunEnded::How::done) << end->message;
    }
  }
}

}  // namespace
}  // namespace switchyard::studio

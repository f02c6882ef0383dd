// Opening models, and dropping things that are none.
#include <sys/stat.h>

#include <thread>
#include <type_traits>

#include "app/gui/studio/model_files.h"
#include "io/png.h"
#include "io/safetensors.h"
#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

using Models = StudioAtWork;

TEST_F(Models, EmbeddedOneIsThere) {
  EXPECT_EQ(studio().why_not_draw(), "no model is open");
  studio().open_embedded();
  EXPECT_EQ(studio().why_not_draw(), "a model is being opened");
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  const auto& model = *studio().model();
  EXPECT_EQ(model.name, "solids");
  EXPECT_EQ(model.provenance.model_hash.size(), 10u);
  EXPECT_EQ(studio().form.settings, model.settings);
  EXPECT_EQ(studio().why_not_draw(), "");
  EXPECT_TRUE(studio().remembered.recent.empty()) << "it has no path";
}

TEST_F(Models, TwoInTurnEachDrawTheirs) {
  open_embedded();
  const auto first = *studio().draw();  // opening waits for it
  studio().edits.list.push_back({.edit = mute(pipeline::Router::tokens, 0, 7)});
  studio().open(tiny_model("tiny.safetensors"));
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  EXPECT_EQ(studio().run(first)->status, Run::Status::done);
  EXPECT_EQ(studio().model()->name, "tiny");
  EXPECT_TRUE(studio().edits.list.empty()) << "they were for another model";
  EXPECT_EQ(studio().form.seed, 7u) << "what is not the model's stays";
  EXPECT_FALSE(studio().draw_again(first));
  expect_error("was drawn by another model");
  studio().form.settings.grid.steps = 2;
  const auto second = drawn();
  EXPECT_EQ(studio().run(second)->model, "tiny");
  ASSERT_EQ(studio().run(second)->status, Run::Status::done) << studio().run(second)->message;
  EXPECT_EQ(studio().run(second)->images[0].pixels.size(0), studio().model()->image_size);
  EXPECT_NE(studio().run(first)->images[0].pixels.size(0), studio().model()->image_size);
  EXPECT_EQ(studio().remembered.recent, std::vector{file("tiny.safetensors")});

  open_embedded();
  const auto third = drawn();
  EXPECT_EQ(studio().run(third)->model, "solids");
  EXPECT_TRUE(at::equal(studio().run(third)->images[0].pixels, studio().run(first)->images[0].pixels));
}

TEST_F(Models, OpeningSaysWhatItWaitsFor) {
  open_embedded();
  studio().draw(), studio().draw();
  studio().open(tiny_model("tiny.safetensors"));
  EXPECT_EQ(studio().status().text, "Opening tiny, after 2 runs of the queue");
  ASSERT_EQ(studio().being_opened().size(), 1u);
  EXPECT_EQ(studio().being_opened().front(), "tiny");
  EXPECT_EQ(studio().why_not_draw(), "another model is opened after what is in the queue");
  studio().cancel_all();
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  EXPECT_EQ(studio().model()->name, "tiny");
}

// The model alone is not enough, the decoder dropped later is paired with it, and both are remembered.
TEST_F(Models, DecoderIsPairedWithTheModelThatWaits) {
  const auto decoder = std::filesystem::path(SWITCHYARD_FIXTURE_DIR) / "vae/current";
  const auto opened = [&] { return until([&] { return !studio().opening(); }); };
  open_embedded();
  studio().drop(decoder);
  expect_error("open a model that draws them first");
  auto config = dit::preset("tiny");
  config.in_channels = 4;
  dit::DiffusionTransformer latent(config);
  dit::initialize(latent, 1);
  dit::save_model(file("latent.safetensors"), latent, "{}");
  studio().drop(file("latent.safetensors"));
  ASSERT_TRUE(opened());
  expect_error("drop the decoder");
  EXPECT_EQ(studio().model()->name, "solids");
  studio().drop(decoder);
  ASSERT_TRUE(opened());
  ASSERT_EQ(studio().model()->name, "latent") << studio().status().text;
  EXPECT_EQ(studio().model()->image_size, 8 * config.input_size);
  studio().form.settings.grid.steps = 2;
  EXPECT_EQ(studio().run(drawn())->status, Run::Status::done) << studio().status().text;
  studio().drop(decoder / "diffusion_pytorch_model.safetensors");  // another one, for the open model
  ASSERT_TRUE(opened());
  EXPECT_EQ(studio().model()->decoder.filename(), "diffusion_pytorch_model.safetensors")
      << studio().status().text;

  start();
  studio().open(file("latent.safetensors"));
  ASSERT_TRUE(opened());
  ASSERT_NE(studio().model(), nullptr) << studio().status().text;
}

// What the weights were trained for is stated wrongly: that is said, and not before there is something to see.
TEST_F(Models, DoubtComesAfterTheFirstStep) {
  pipeline::Session solids({.model = embedded_model()});
  io::write_safetensors(file("foreign.safetensors"), solids.file().tensors);
  Worker worker({});
  worker.open({.model = {.file = file("foreign.safetensors"),
                         .reading = {.hints = {.num_heads = solids.config().num_heads,
                                               .experts_per_token = solids.config().experts_per_token,
                                               .schedule = "rectified_flow",
                                               .prediction = "velocity"}}}});
  pipeline::Request request{.images = {{.label = 1, .seed = 7}}};
  request.settings.grid.steps = 2;
  worker.draw(1, request);
  std::vector<Event> events;
  while (events.empty() || !std::holds_alternative<RunEnded>(events.back())) {
    for (auto& event : worker.take()) events.push_back(std::move(event));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ASSERT_TRUE(std::holds_alternative<OpenedModel>(events.front()))
      << std::get<OpenFailed>(events.front()).message;
  EXPECT_FALSE(std::get<OpenedModel>(events.front()).doubt);
  const auto first_of = [&]<class Kind>(std::type_identity<Kind>) {
    return std::ranges::find_if(events, [](const Event& e) { return std::holds_alternative<Kind>(e); }) -
           events.begin();
  };
  const auto step = first_of(std::type_identity<StepShown>()),
             doubt = first_of(std::type_identity<Doubted>());
  EXPECT_EQ(doubt, step + 1);
  EXPECT_EQ(std::ranges::count_if(events, [](const Event& e) { return std::holds_alternative<Doubted>(e); }),
            1);
}

TEST_F(Models, TimestepsAreRecordedToo) {
  studio().open(tiny_model("switch.safetensors", "tiny-switch-dit-moe"));
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  studio().form.settings.grid.steps = 2;
  const auto& run = *studio().run(drawn());
  ASSERT_EQ(run.status, Run::Status::done) << run.message;
  ASSERT_NE(run.record(pipeline::Router::tokens), nullptr);
  ASSERT_NE(run.record(pipeline::Router::timesteps), nullptr);
  EXPECT_TRUE(run.record(pipeline::Router::timesteps)->evaluated.all().item<bool>());
}

TEST_F(Models, FailedLoadLeavesTheOneBeforeUsable) {
  open_embedded();
  auto bytes = [&] {
    tiny_model("whole.safetensors");
    return bytes_of("whole.safetensors");
  }();
  for (const auto& wrong : {put("truncated.safetensors", bytes.substr(0, bytes.size() / 2)),
                            put("empty.safetensors", ""), file("missing.safetensors")}) {
    studio().open(wrong);
    ASSERT_TRUE(until([&] { return !studio().opening(); }));
    expect_error(wrong.filename().string());
    ASSERT_NE(studio().model(), nullptr);
    EXPECT_EQ(studio().model()->name, "solids");
  }
  EXPECT_TRUE(studio().remembered.recent.empty());
  EXPECT_EQ(studio().run(drawn())->status, Run::Status::done);
}

TEST_F(Models, FolderWithOneModelIsOpened) {
  tiny_model("folder/model.safetensors");
  studio().drop(file("folder"));
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  ASSERT_NE(studio().model(), nullptr) << studio().status().text;
  EXPECT_EQ(studio().model()->name, "model");
}

TEST_F(Models, FolderOfDiffusersIsOpenedWithItsDecoder) {
  const auto pipeline = std::filesystem::path(SWITCHYARD_FIXTURE_DIR) / "diffusers_dit/pipeline";
  for (const auto& path : {pipeline, pipeline / "model_index.json"}) {
    start();
    studio().drop(path);
    ASSERT_TRUE(until([&] { return !studio().opening(); }));
    ASSERT_NE(studio().model(), nullptr) << studio().status().text;
    EXPECT_EQ(studio().model()->name, "pipeline");
    EXPECT_EQ(studio().model()->image_size, 16);
    EXPECT_EQ(studio().form.settings.solver.solver, sampler::Solver::ddim);
    studio().form.settings.grid.steps = 2;
    EXPECT_EQ(studio().run(drawn())->status, Run::Status::done) << studio().status().text;
  }
  start();
  studio().drop(pipeline / "transformer");
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  expect_error("drop the decoder");
  studio().drop(pipeline / "vae");
  ASSERT_TRUE(until([&] { return !studio().opening(); }));
  ASSERT_NE(studio().model(), nullptr) << studio().status().text;
  EXPECT_EQ(studio().model()->image_size, 16);
}

TEST_F(Models, WrongFilesGiveAMessageAndNothingElse) {
  open_embedded();
  drawn();
  ASSERT_TRUE(studio().save(studio().runs().front().id, file("out")));
  const auto png = bytes_of("out/" + names_in("out").front());
  std::filesystem::create_directory(file("folder"));
  std::filesystem::create_directory(file("two"));
  put("two/a.safetensors", "");
  put("two/b.pt", "");
  ::mkfifo(file("pipe").c_str(), 0600);
  io::write_png(file("foreign.png"), at::zeros({4, 4, 3}, at::kByte), {{"parameters", "Steps: 3"}});
  const std::pair<std::filesystem::path, const char*> wrong[] = {
      {put("notes.txt", "hello"), "notes.txt"},
      {put("cut.png", png.substr(0, png.size() / 2)), "cut.png"},
      {put("not.png", "hello"), "not.png"},
      {file("foreign.png"), "not drawn by Switchyard"},
      {file("folder"), "holds no model"},
      {file("two"), "a.safetensors, b.pt"},
      {file("missing"), "no such file"},
      {file("pipe"), "not a file"},
      {put("empty", ""), "empty"},
      {put("recipe.json", "[{\"experts\": [99], \"action\": \"mute\"}]"), "99"},
      {put("broken.json", "["), "broken.json"}};
  const auto form = studio().form;
  const auto selection = studio().selection;
  const auto hash = studio().model()->provenance.model_hash;
  for (const auto& [path, message] : wrong) {
    SCOPED_TRACE(path.string());
    studio().say("");
    studio().drop(path);
    ASSERT_TRUE(until([&] { return !studio().opening(); }));
    expect_error(message);
    EXPECT_EQ(studio().form, form);
    EXPECT_EQ(studio().selection, selection);
    EXPECT_TRUE(studio().edits.list.empty());
    EXPECT_FALSE(studio().restored());
    EXPECT_EQ(studio().model()->provenance.model_hash, hash);
    EXPECT_EQ(studio().runs().size(), 1u);
  }
  EXPECT_EQ(studio().run(drawn())->status, Run::Status::done);
}

}  // namespace
}  // namespace switchyard::studio

#include "app/gui/studio/exports.h"

#include <ATen/ATen.h>

#include <cmath>

#include "../../app/program.h"
#include "app/gui/studio/colors.h"
#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

class Exports : public StudioAtWork {};

TEST_F(Exports, RoutingIsTheFileThatTheCommandLineWrites) {
  open_embedded();
  studio().form.label = 1;
  studio().form.count = 2;
  const auto id = drawn();
  ASSERT_TRUE(studio().save_routing(id, file("app.npz"))) << studio().status().text;
  std::filesystem::create_directory(file("cli"));
  const auto outcome = app::run(
      {"sample", "--class", "cube", "--seed", "7", "--count", "2", "--steps", "3", "--routing", "cli.npz"},
      {.folder = file("cli")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GT(bytes_of("app.npz").size(), 1000u);
  EXPECT_TRUE(bytes_of("app.npz") == bytes_of("cli/cli.npz"));

  ASSERT_TRUE(studio().save(id, file("app"))) << studio().status().text;
  EXPECT_EQ(names_in("app"), (std::vector<std::string>{"cube-0007.png", "cube-0008.png"}));
  EXPECT_TRUE(bytes_of("app/cube-0008.png") == bytes_of("cli/cube-0008.png"));
}

TEST_F(Exports, EditsAreWhatTheCommandLineTakes) {
  open_embedded();
  studio().edits.list = {{.edit = mute(pipeline::Router::tokens, 2, 5)},
                         {.edit = force(pipeline::Router::tokens, 1, 0), .on = false}};
  ASSERT_TRUE(studio().save_edits(file("edits.json"))) << studio().status().text;
  const auto& run = *studio().run(drawn());
  const auto& names = studio().model()->config.class_names;
  std::filesystem::create_directory(file("cli"));
  const auto outcome =
      app::run({"sample", "--class", names[0], "--seed", "7", "--steps", "3", "--edit", file("edits.json")},
               {.folder = file("cli")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(at::equal(io::read_png(file("cli/" + names_in("cli").front())).pixels, run.images[0].pixels));
  studio().edits = {};
  studio().drop(file("edits.json"));
  ASSERT_EQ(studio().edits.list.size(), 1u) << studio().status().text;
  EXPECT_EQ(studio().edits.recipe(), run.request.recipe);
}

TEST_F(Exports, SavingTwiceLeavesOneFileAndOtherImagesAlone) {
  open_embedded();
  const auto first = drawn();
  studio().form.settings.grid.steps = 2;
  const auto second = drawn();
  ASSERT_TRUE(studio().save(first, file("out")));
  ASSERT_TRUE(studio().save(second, file("out")));
  ASSERT_TRUE(studio().save(first, file("out")));
  ASSERT_TRUE(studio().save(second, file("out"), 0));
  const auto names = names_in("out");
  ASSERT_EQ(names.size(), 2u);
  EXPECT_TRUE(names[0].ends_with("-0007-2.png")) << names[0];
  EXPECT_TRUE(
      at::equal(io::read_png(file("out/" + names[0])).pixels, studio().run(second)->images[0].pixels));
  EXPECT_TRUE(at::equal(io::read_png(file("out/" + names[1])).pixels, studio().run(first)->images[0].pixels));
}

TEST_F(Exports, FailuresAreMessages) {
  open_embedded();
  EXPECT_FALSE(studio().save(1, file("out")));
  expect_error("no image is finished");
  EXPECT_FALSE(studio().save_routing(1, file("r.npz")));
  expect_error("no run is selected");
  const auto id = drawn();
  put("a file", "");
  EXPECT_FALSE(studio().save(id, file("a file") / "folder"));
  expect_error("a file");
  EXPECT_FALSE(studio().save_routing(id, file("no folder") / "r.npz"));
  expect_error("no folder");
}

TEST_F(Exports, TablesReadBackExactly) {
  save_csv(file("t.csv"), at::tensor({0.1f, NAN, -2.0f, 1.0f / 3}).view({2, 2}), "step", "expert");
  EXPECT_EQ(bytes_of("t.csv"), "step,expert 0,expert 1\n0,0.1,\n1,-2,0.33333334\n");
  save_csv(file("r.csv"), at::tensor({1, 2}, at::kLong), "layer", "patch");
  EXPECT_EQ(bytes_of("r.csv"), "layer,patch 0,patch 1\n0,1,2\n");
}

TEST_F(Exports, PicturesAreTheCellsEnlarged) {
  const auto rgba = sequential_rgba(at::tensor({0.0f, 1.0f}).view({1, 2}), 0, 1);
  save_picture(file("p.png"), rgba, 3);
  const auto pixels = io::read_png(file("p.png")).pixels;
  ASSERT_EQ(pixels.sizes(), (at::IntArrayRef{3, 6, 3}));
  for (int64_t x = 0; x < 6; ++x) EXPECT_TRUE(at::equal(pixels[2][x], rgba[0][x / 3].narrow(0, 0, 3))) << x;
}

}  // namespace
}  // namespace switchyard::studio

#include "app/gui/studio/remembered.h"

#include <cstdlib>

#include "io/error.h"
#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

class Remembering : public StudioAtWork {};

TEST_F(Remembering, ComesBackAtTheNextStart) {
  EXPECT_EQ(studio().remembered, Remembered());
  Remembered all{.recent = {"/models/a.pt", "/models/Übung \"2\".safetensors"},
                 .decoders = {{"/models/a.pt", "/models/vae \"1\""}},
                 .favourites = {{"solids", {3, 1}}},
                 .theme = "light",
                 .scale = 1.25,
                 .save_to = "/pictures",
                 .hint_seen = true};
  studio().remembered = all;
  start();
  EXPECT_EQ(studio().remembered, all);
}

TEST_F(Remembering, IsWrittenWhenItChangesNotOnlyAtTheEnd) {
  studio().remembered.theme = "light";
  studio().poll();
  EXPECT_EQ(load_remembered(file("config/studio.json")).theme, "light");
}

TEST_F(Remembering, WhatCannotBeUnderstoodIsLeftOut) {
  for (const auto& [text, said] :
       {std::pair{"{", "studio.json"},
        {"[]", "expected a JSON object"},
        {"{\"theme\": 3}", "field \"theme\": type must be string, but is number"},
        {"{\"recent\": [1]}", "field \"recent\": type must be string, but is number"},
        {"{\"scale\": \"big\"}", "field \"scale\": type must be number, but is string"}}) {
    std::filesystem::create_directories(file("config"));
    put("config/studio.json", text);
    start();
    EXPECT_EQ(studio().remembered, Remembered()) << text;
    expect_error(said);
  }
  put("config/studio.json", "{\"theme\": \"light\", \"of the future\": 1}");
  start();
  EXPECT_EQ(studio().remembered.theme, "light");
}

TEST_F(Remembering, RecentModelsAreTenAndTheNewestGoesFirst) {
  Remembered remembered;
  for (int i = 0; i < 12; ++i) remembered.use("/m" + std::to_string(i));
  remembered.use("/m5");
  ASSERT_EQ(remembered.recent.size(), 10u);
  EXPECT_EQ(remembered.recent[0], "/m5");
  EXPECT_EQ(remembered.recent[1], "/m11");
  EXPECT_EQ(std::ranges::count(remembered.recent, "/m5"), 1);
}

TEST(RememberedFile, FollowsXdg) {
  const auto with = [](const char* config, const char* home) {
    ::setenv("XDG_CONFIG_HOME", config, 1);
    ::setenv("HOME", home, 1);
    return remembered_file();
  };
  EXPECT_EQ(with("/x", "/h"), "/x/switchyard/studio.json");
  EXPECT_EQ(with("", "/h"), "/h/.config/switchyard/studio.json");
  EXPECT_EQ(with("relative", "/h"), "/h/.config/switchyard/studio.json");
  EXPECT_EQ(with("", ""), "");
}

}  // namespace
}  // namespace switchyard::studio

// From a PNG back to what made it.
#include <ATen/ATen.h>

#include <algorithm>

#include "pipeline/settings_text.h"
#include "studio_at_work.h"

namespace switchyard::studio {
namespace {

class Restore : public StudioAtWork {
 protected:
  void SetUp() override { open_embedded(); }

  // "3 -> 4"; "-" where nothing changes.
  static std::string change(const Restored& restored, const std::string& field) {
    const auto found = std::ranges::find(restored.changes, field, &Change::field);
    return found == restored.changes.end() ? "-" : found->from + " -> " + found->to;
  }
};

TEST_F(Restore, SaysWhatWouldChangeAndThenDrawsTheSame) {
  studio().form.label = 4;
  studio().form.settings.guidance.scale = 4;
  auto edit = mute(pipeline::Router::tokens, 2, 5);
  edit.t_low = 0.5;
  studio().edits.list = {{.edit = edit}, {.edit = force(pipeline::Router::tokens, -1, 3), .on = false}};
  const auto first = drawn();
  ASSERT_TRUE(studio().save(first, file("out"))) << studio().status().text;
  const auto made = studio().form;

  studio().form.label = 0;
  studio().form.fresh_seed = true;
  studio().form.count = 5;
  studio().form.settings = studio().model()->settings;
  studio().edits = {};
  const auto before = studio().form;
  studio().drop(file("out/" + names_in("out").front()));
  ASSERT_TRUE(studio().restored()) << studio().status().text;
  EXPECT_EQ(studio().form, before) << "nothing changes before it is applied";
  const auto& restored = *studio().restored();
  EXPECT_EQ(change(restored, "steps"), std::to_string(before.settings.grid.steps) + " -> 3");
  EXPECT_EQ(change(restored, "seed"), "fresh -> 7");
  EXPECT_EQ(change(restored, "count"), "5 -> 1");
  EXPECT_EQ(change(restored, "guidance"), pipeline::text_of(before.settings.guidance.scale) + " -> 4");
  EXPECT_EQ(change(restored, "edits"), "none -> mute expert 5 in layer 2, t 0.5 to 1");
  EXPECT_EQ(change(restored, "class"), "sphere -> torus");
  EXPECT_EQ(change(restored, "solver"), "-") << "it stays the same";
  EXPECT_TRUE(std::ranges::none_of(restored.changes, &Change::warning)) << "it is the same model";

  studio().apply_restored();
  EXPECT_FALSE(studio().restored());
  EXPECT_EQ(studio().form, made);
  const auto second = drawn();
  EXPECT_TRUE(at::equal(studio().run(second)->images[0].pixels, studio().run(first)->images[0].pixels));

  studio().drop(file("out/" + names_in("out").front()));
  ASSERT_TRUE(studio().restored());
  EXPECT_TRUE(studio().restored()->changes.empty());
  studio().dismiss_restored();
  EXPECT_FALSE(studio().restored());
}

TEST_F(Restore, WarnsOfAnotherModel) {
  auto text = studio().run(drawn())->images[0].text;
  const auto hash = studio().model()->provenance.model_hash;
  for (auto& [key, value] : text)
    if (const auto at = value.find(hash); at != std::string::npos)
      value.replace(at, hash.size(), "0123456789");
  io::write_png(file("other.png"), at::zeros({4, 4, 3}, at::kByte), text);
  studio().drop(file("other.png"));
  ASSERT_TRUE(studio().restored()) << studio().status().text;
  EXPECT_EQ(change(*studio().restored(), "model"), "solids (" + hash + ") -> solids (0123456789)");
  EXPECT_TRUE(std::ranges::any_of(studio().restored()->changes, &Change::warning));
}

TEST_F(Restore, SettingsOfARunComeBack) {
  studio().edits.list = {{.edit = mute(pipeline::Router::tokens, 2, 5)}};
  studio().form.count = 2;
  const auto id = drawn();
  const auto settings = studio().form.settings;
  studio().edits = {};
  studio().form.settings = studio().model()->settings;
  studio().use_settings_of(id, 1);
  EXPECT_EQ(studio().form.seed, 8u);
  EXPECT_FALSE(studio().form.fresh_seed);
  EXPECT_EQ(studio().form.settings, settings);
  EXPECT_EQ(studio().edits.recipe(), studio().run(id)->request.recipe);
}

}  // namespace
}  // namespace switchyard::studio

// The panels that measure: what a person asks for there is what the studio knows, and what the screen shows.
#include <ATen/ATen.h>

#include <cmath>

#include "driven_app.h"

namespace switchyard::gui {
namespace {

class Measuring : public DrivenApp {
 protected:
  const studio::Run& run() { return *studio().selected(); }

  void front(ImGuiTestContext* ui, const char* panel) {
    ui->WindowFocus((std::string("//") + panel).c_str());
    ui->Yield(2);
  }
};

TEST_F(Measuring, RanksTheExpertsOfALayer) {
  at::Tensor pixels;
  ImRect area;
  drive([&](ImGuiTestContext* ui) {
    draw(ui, 3);
    front(ui, kRank);
    app_->ui.rank_layer = 1;
    studio().selection.layer = 2;
    ui->Yield(2);
    ui->ItemClick("//Rank/Rank");
    until(
        ui, [&] { return !run().studies.ranking; }, 60);
    ui->MouseMoveToPos({2, 2});
    ui->Yield(3);
    area = ui->ItemInfo("//Rank/effects").RectFull;
  });
  const auto experts = run().config.num_experts, layers = run().config.depth;
  EXPECT_EQ(run().studies.ranked(pipeline::Router::tokens, 2).measured, experts);
  // On the screen the expert of greatest effect is the lightest of its row.
  const auto best = run().studies.by_effect(pipeline::Router::tokens, 2).front()->asked.expert;
  pixels = app_->window.pixels();
  int64_t lightest = -1, light = -1;
  for (int64_t e = 0; e < experts; ++e) {
    const auto x = std::lround(area.Min.x + area.GetWidth() * (static_cast<float>(e) + 0.5f) /
                                                static_cast<float>(experts)),
               y = std::lround(area.Min.y + area.GetHeight() * 2.5f / static_cast<float>(layers));
    const auto sum = pixels[y][x].sum().item<int64_t>();
    if (sum > light) light = sum, lightest = e;
  }
  EXPECT_EQ(lightest, best);
}

TEST_F(Measuring, AsksWhatIfOfThePinnedPatch) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui, 3);
    studio().selection.patch = 20;
    studio().selection.step = 1;
    studio().selection.follow = false;
    front(ui, kWhatIf);
    ui->ItemClick("//What if/Ask");
    until(ui, [&] { return run().studies.under_way().empty() && !run().studies.what_ifs.empty(); });
    EXPECT_TRUE(ui->ItemExists("//What if/**/error, patch"));
  });
  const auto* study =
      run().studies.what_if({.image = 0, .step = 1, .layer = studio().selection.layer, .patch = 20});
  ASSERT_NE(study, nullptr);
  ASSERT_TRUE(study->answer) << study->message;
  EXPECT_EQ(static_cast<int64_t>(study->answer->experts.size()), run().config.num_experts);
}

TEST_F(Measuring, TellsContentFromPlace) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui, 3);
    front(ui, kContent);
    ui->ItemClick("//Content or place/Measure");
    until(ui, [&] { return run().studies.under_way().empty() && !run().studies.contents.empty(); });
    ui->Yield(3);
    ui->ItemClick("//Content or place/content");  // the middle of the matrix
  });
  EXPECT_EQ(studio().selection.layer, run().config.depth / 2);
  EXPECT_EQ(studio().selection.expert, run().config.num_experts / 2);
}

TEST_F(Measuring, ClickOnAPatchGoesThere) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui, 3);
    draw(ui, 3);
    studio().selection.expert = 1;
    front(ui, kPatches);
    ui->ItemClick("//Patches of an expert/**/patch");
    ui->Yield(3);
  });
  const studio::ExpertOf whom{.model = run().model, .layer = studio().selection.layer, .expert = 1};
  const auto strongest = app_->ui.album.of(studio().runs(), whom, 120).front();
  EXPECT_EQ(studio().selection.run, strongest.run);
  EXPECT_EQ(studio().selection.patch, strongest.patch.patch);
  EXPECT_EQ(studio().selection.step, strongest.patch.step);
}

}  // namespace
}  // namespace switchyard::gui

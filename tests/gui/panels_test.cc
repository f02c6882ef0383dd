// What a person does with the app, in the real window with the embedded model.
#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <span>
#include <string>

#include "driven_app.h"
#include "figures/canvas.h"
#include "io/png.h"
#include "pasted.h"
#include "pipeline/routing_facts.h"

namespace switchyard::gui {
namespace {

ImVec2 middle(const ImGuiTestItemInfo& item, float x = 0.5f, float y = 0.5f) {
  return {item.RectFull.Min.x + item.RectFull.GetWidth() * x,
          item.RectFull.Min.y + item.RectFull.GetHeight() * y};
}

TEST_F(DrivenApp, DrawsWhatWasChosen) {
  drive([&](ImGuiTestContext* ui) {
    ui->ItemInputValue("//Generate/form/##seed", "42");
    draw(ui);
  });
  ASSERT_EQ(studio().runs().size(), 1u);
  const auto& run = studio().runs().back();
  EXPECT_EQ(run.request.images.at(0).seed, 42u);
  EXPECT_EQ(run.steps(), 5);
  EXPECT_TRUE(run.finished(0));
  EXPECT_EQ(studio().selection.run, run.id);
}

TEST_F(DrivenApp, EscapeCancels) {
  studio().form.settings.grid.steps = 2000;
  drive([&](ImGuiTestContext* ui) {
    ui->WindowFocus("//Canvas");
    ui->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Enter);
    until(ui, [&] { return studio().drawing() && studio().drawing()->progress > 0; });
    ui->KeyPress(ImGuiKey_Escape);
    until(
        ui, [&] { return at_rest(); }, 5);
  });
  EXPECT_EQ(studio().runs().back().status, studio::Run::Status::cancelled);
}

TEST_F(DrivenApp, StepsAreScrubbedBySliderAndKeys) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->ItemInputValue("//Canvas/##step", 1);
    EXPECT_EQ(studio().selection.step, 1);
    ui->WindowFocus("//Canvas");
    ui->KeyPress(ImGuiKey_RightArrow);
    EXPECT_EQ(studio().selection.step, 2);
    ui->KeyPress(ImGuiKey_LeftArrow, 2);
    EXPECT_EQ(studio().selection.step, 0);
  });
}

TEST_F(DrivenApp, SpacePlaysToTheEnd) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->WindowFocus("//Canvas");
    ui->KeyPress(ImGuiKey_Space);
    until(
        ui, [&] { return studio().selection.step == 2; }, 5);
    until(
        ui, [&] { return !app_->ui.playing; }, 5);
    EXPECT_EQ(studio().selection.step, 4);
  });
}

// The colours on the screen are the experts that the record says.
TEST_F(DrivenApp, PatchMapShowsTheWinnersOfTheLayer) {
  at::Tensor pixels;
  ImRect area;
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->ItemInputValue("//Patch map/##layer", 4);
    EXPECT_EQ(studio().selection.layer, 4);
    studio().selection.opacity = 1;
    ui->MouseMoveToPos({2, 2});
    ui->Yield(3);
    area = ui->ItemInfo("//Patch map/patches").RectFull;
  });
  pixels = app_->window.pixels();
  const auto& run = studio().runs().back();
  const auto winners = pipeline::winners(run.records.at(0))[0][studio().selection.step][4];
  const auto side = std::llround(std::sqrt(static_cast<double>(winners.numel())));
  const float zoom = std::floor(std::min(area.GetWidth(), area.GetHeight()) / 64),
              patch = zoom * 64 / static_cast<float>(side);
  const auto centre = area.GetCenter();
  const float x0 = std::round(centre.x - 32 * zoom), y0 = std::round(centre.y - 32 * zoom);
  for (int64_t i = 0; i < winners.numel(); ++i) {
    const auto x = std::lround(x0 + patch * (static_cast<float>(i % side) + 0.5f)),
               y = std::lround(y0 + patch * (static_cast<float>(i / side) + 0.5f));
    const auto wanted = figures::category_color(winners[i].item<int64_t>(), run.config.num_experts);
    for (int c = 0; c < 3; ++c)
      ASSERT_NEAR(pixels[y][x][c].item<int>(), wanted[static_cast<size_t>(c)], 1) << "patch " << i;
  }
}

TEST_F(DrivenApp, PatchIsPinnedByClickAndLetGo) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->MouseMoveToPos(middle(ui->ItemInfo("//Patch map/patches")));
    ui->MouseClick();
    ASSERT_TRUE(studio().selection.patch);
    ui->ItemClick("//Patch map/Let go");
    EXPECT_FALSE(studio().selection.patch);
  });
}

TEST_F(DrivenApp, ClickInTheTimestepMapGoesToItsStep) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->MouseMoveToPos(middle(ui->ItemInfo("//Timestep map/timestep map"), 0.3f));
    ui->MouseClick();
    EXPECT_EQ(studio().selection.step, 1);
  });
}

TEST_F(DrivenApp, AtlasMutesAnExpertAndComparesBothRuns) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->WindowFocus("//Atlas");
    ui->Yield(2);
    const auto atlas = ui->ItemInfo("//Atlas/atlas");
    ui->MouseMoveToPos(middle(atlas, 3.5f / 8, 2.5f / 6));
    ui->MouseClick();
    EXPECT_EQ(studio().selection.layer, 2);
    EXPECT_EQ(studio().selection.expert, 3);
    ui->KeyDown(ImGuiMod_Ctrl);
    ui->MouseClick();
    ui->KeyUp(ImGuiMod_Ctrl);
    until(ui, [&] { return studio().runs().size() == 2 && at_rest(); });
    EXPECT_EQ(app_->ui.canvas, CanvasMode::side_by_side);  // by itself
    ui->WindowFocus("//Canvas");
    for (const char* mode : {"A | B", "Wipe", "Difference"}) {
      ui->ItemClick((std::string("//Canvas/mode/") + mode).c_str());
      ui->Yield(2);
    }
  });
  EXPECT_EQ(app_->ui.canvas, CanvasMode::difference);
  ASSERT_TRUE(studio().selected() && studio().compared());
  const auto share = [&](const studio::Run& run) {
    return pipeline::shares(run.records.at(0)).select(1, 2).select(1, 3).max().item<float>();
  };
  EXPECT_GT(share(studio().runs().front()), 0);
  EXPECT_EQ(share(studio().runs().back()), 0);
}

TEST_F(DrivenApp, ImageIsCopiedToTheClipboard) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui, 3);
    ui->KeyPress(ImGuiMod_Ctrl | ImGuiKey_C);
    ui->Yield(2);
  });
  const auto bytes = pasted("image/png").value_or("");
  const auto image = io::parse_png(std::as_bytes(std::span(bytes)), "the clipboard");
  EXPECT_TRUE(at::equal(image.pixels, studio().runs().back().images[0].pixels));
  EXPECT_TRUE(studio().status().text.starts_with("Copied")) << studio().status().text;
}

TEST_F(DrivenApp, RegionIsPaintedOnTheImage) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->WindowFocus("//Surgery");
    ui->ItemClick("//Surgery/Add an edit");
    ui->ItemClick("//Surgery/**/Paint");
    ui->MouseMoveToPos(middle(ui->ItemInfo("//Canvas/image"), 0.45f, 0.45f));
    ui->MouseDown();
    ui->MouseMoveToPos(middle(ui->ItemInfo("//Canvas/image"), 0.55f, 0.55f));
    ui->MouseUp();
    ui->KeyPress(ImGuiKey_Escape);
  });
  EXPECT_FALSE(app_->ui.brush);
  ASSERT_EQ(studio().edits.list.size(), 1u);
  const auto& region = studio().edits.list[0].edit.region;
  const auto painted = std::count(region.begin(), region.end(), true);
  EXPECT_GT(painted, 1);
  EXPECT_LT(painted, studio().model()->config.tokens() / 2);
}

TEST_F(DrivenApp, EditIsSwitchedOffAndRemoved) {
  drive([&](ImGuiTestContext* ui) {
    ui->WindowFocus("//Surgery");
    ui->ItemClick("//Surgery/Add an edit");
    EXPECT_EQ(studio().edits.recipe().size(), 1u);
    ui->ItemUncheck("//Surgery/**/##on");
    EXPECT_TRUE(studio().edits.recipe().empty());
    ui->ItemClick("//Surgery/Remove all");
    EXPECT_TRUE(studio().edits.list.empty());
  });
}

TEST_F(DrivenApp, ViewIsExportedAsNumbers) {
  const auto file = folder_ / "map.csv";
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    ui->ItemClick("//Timestep map/Export");
    ui->ItemClick("//$FOCUSED/Numbers (CSV)");
    ui->ItemInputValue("//Save/##path", file.c_str());
    if (ui->ItemExists("//Save/Save")) ui->ItemClick("//Save/Save");
    until(
        ui, [&] { return std::filesystem::exists(file); }, 5);
  });
  std::ifstream stream(file);
  std::string heading, first;
  std::getline(stream, heading), std::getline(stream, first);
  EXPECT_EQ(std::count(heading.begin(), heading.end(), ','), 5);
  EXPECT_EQ(std::count(first.begin(), first.end(), ','), 5);
}

TEST_F(DrivenApp, PictureBringsBackWhatMadeIt) {
  drive([&](ImGuiTestContext* ui) {
    studio().form.seed = 5;
    draw(ui, 7);
    ASSERT_TRUE(studio().save(studio().runs().back().id, folder_));
    studio().form.seed = 6, studio().form.settings.grid.steps = 3;
    studio().drop(std::filesystem::directory_iterator(folder_)->path());
    ui->Yield(2);
    EXPECT_EQ(studio().form.seed, 6u) << "before anybody agreed";
    ui->ItemClick("//What would change/Apply");
    ui->Yield(2);
  });
  EXPECT_EQ(studio().form.seed, 5u);
  EXPECT_EQ(studio().form.settings.grid.steps, 7);
}

TEST_F(DrivenApp, WrongFileIsAMessage) {
  const auto file = folder_ / "broken.safetensors";
  std::ofstream(file) << "nothing";
  drive([&](ImGuiTestContext* ui) {
    studio().drop(file);
    until(
        ui, [&] { return studio().status().kind == studio::Status::Kind::error; }, 5);
    draw(ui);
  });
}

TEST_F(DrivenApp, QueueIsEmptiedByCancelAll) {
  studio().form.settings.grid.steps = 2000;
  drive([&](ImGuiTestContext* ui) {
    for (int i = 0; i < 3; ++i) ui->ItemClick("//Generate/Draw");
    until(ui, [&] { return studio().drawing() != nullptr; });
    EXPECT_EQ(studio().waiting(), 2);
    ui->ItemClick("//Queue/Cancel all");
    until(
        ui, [&] { return at_rest(); }, 5);
  });
  for (const auto& run : studio().runs()) EXPECT_EQ(run.status, studio::Run::Status::cancelled);
}

TEST_F(DrivenApp, GallerySelectsAnImage) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    draw(ui);
    ui->WindowFocus("//Gallery");
    ui->Yield(2);
    ui->SetRef(ui->WindowInfo("//Gallery/images").Window);
    ui->ItemClick("$$1/$$0/image");
    ui->Yield(2);
    EXPECT_EQ(studio().selection.run, 1);
  });
}

TEST_F(DrivenApp, GalleryIsBrowsedByArrows) {
  drive([&](ImGuiTestContext* ui) {
    draw(ui);
    draw(ui);
    ASSERT_EQ(studio().selection.run, 2);
    ui->WindowFocus("//Gallery");
    ui->Yield(2);
    const auto step = studio().selection.step;
    ui->KeyPress(ImGuiKey_RightArrow);
    ui->Yield(2);
    EXPECT_EQ(studio().selection.run, 1) << "the one before";
    ui->KeyPress(ImGuiKey_RightArrow);
    ui->Yield(2);
    EXPECT_EQ(studio().selection.run, 1) << "there is no other";
    ui->KeyPress(ImGuiKey_LeftArrow);
    ui->Yield(2);
    EXPECT_EQ(studio().selection.run, 2);
    EXPECT_EQ(studio().selection.step, step) << "the arrows are the gallery's here";
  });
}

TEST_F(DrivenApp, GalleryGivesBackTheSettingsOfAnImage) {
  drive([&](ImGuiTestContext* ui) {
    studio().form.seed = 5;
    draw(ui, 7);
    studio().form.seed = 6, studio().form.settings.grid.steps = 3;
    ui->WindowFocus("//Gallery");
    ui->ItemClick("//Gallery/Use these settings");
    ui->Yield(2);
  });
  EXPECT_EQ(studio().form.seed, 5u);
  EXPECT_EQ(studio().form.settings.grid.steps, 7);
}

TEST_F(DrivenApp, GalleryShowsAFolder) {
  drive([&](ImGuiTestContext* ui) {
    for (const uint64_t seed : {5, 6}) {
      studio().form.seed = seed;
      draw(ui, 4);
      ASSERT_TRUE(studio().save(studio().runs().back().id, folder_));
    }
    studio().form.seed = 9;
    ui->WindowFocus("//Gallery");
    ui->ItemClick("//Gallery/source/Folder");
    ui->ItemInput("//Gallery/##folder");
    ui->KeyCharsReplaceEnter(folder_.c_str());
    until(
        ui, [&] { return app_->ui.folder && app_->ui.folder->files().size() == 2; }, 5);
    until(
        ui, [&] { return app_->ui.folder->of(1).rgba.defined(); }, 5);
    ui->SetRef(ui->WindowInfo("//Gallery/images").Window);
    ui->ItemClick("$$1/file");
    EXPECT_EQ(app_->ui.folder_file, 1);
    ui->KeyPress(ImGuiKey_LeftArrow);
    ui->Yield(2);
    EXPECT_EQ(app_->ui.folder_file, 0);
    ui->KeyPress(ImGuiKey_RightArrow);
    ui->KeyPress(ImGuiKey_Enter);
    ui->Yield(2);
    ui->SetRef("");
    ui->ItemClick("//What would change/Apply");
    ui->Yield(2);
  });
  EXPECT_EQ(studio().form.seed, 5u) << "the older one";
}

TEST_F(DrivenApp, ThemeAndScaleChangeAtOnce) {
  drive([&](ImGuiTestContext* ui) {
    ui->ItemClick("//##MainMenuBar##MenuBar/View");
    ui->ItemClick("//$FOCUSED/Light theme");
    ui->Yield(2);
    EXPECT_EQ(app_->ui.theme.name, "light");
    const float before = app_->ui.theme.scale;
    ui->KeyPress(ImGuiMod_Ctrl | ImGuiKey_Equal);
    ui->Yield(2);
    EXPECT_GT(app_->ui.theme.scale, before);
    ui->KeyPress(ImGuiMod_Ctrl | ImGuiKey_0);
    ui->Yield(2);
    EXPECT_EQ(app_->ui.theme.scale, before);
  });
}

TEST_F(DrivenApp, KeysPageOpensAndCloses) {
  drive([&](ImGuiTestContext* ui) {
    ui->KeyPress(ImGuiKey_F1);
    ui->Yield(2);
    EXPECT_TRUE(app_->ui.keys);
    ui->WindowClose("//Keys");
    EXPECT_FALSE(app_->ui.keys);
  });
}

}  // namespace
}  // namespace switchyard::gui

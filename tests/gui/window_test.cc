// What the window does with its own queue of events, without the Test Engine, which has one of its own.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <imgui.h>

#include <random>

#include "app/gui/app.h"

namespace switchyard::gui {
namespace {

class WindowTest : public testing::Test {
 protected:
  WindowTest() : app_({.window = {.width = 1280, .height = 800, .visible = false}}) {
    app_.studio.remembered.hint_seen = true;
    for (int i = 0; i < 8; ++i) app_.draw();  // the layout settles
  }

  static void key(ImGuiKey key, bool down) { ImGui::GetIO().AddKeyEvent(key, down); }

  App app_;
};

// Slow frames and quick hands: the whole of Ctrl+O lies in the queue of one frame, Ctrl let go first.
TEST_F(WindowTest, ChordWithinOneFrameIsSeen) {
  key(ImGuiMod_Ctrl, true), key(ImGuiKey_LeftCtrl, true);
  app_.draw();
  key(ImGuiKey_O, true);
  key(ImGuiMod_Ctrl, false), key(ImGuiKey_LeftCtrl, false);
  key(ImGuiKey_O, false);
  for (int i = 0; i < 4; ++i) app_.draw();
  EXPECT_TRUE(app_.ui.opening);
}

TEST_F(WindowTest, ModifierAfterAKeyIsNotPartOfIt) {
  key(ImGuiKey_O, true);
  key(ImGuiMod_Ctrl, true), key(ImGuiKey_LeftCtrl, true);
  key(ImGuiKey_O, false);
  for (int i = 0; i < 4; ++i) app_.draw();
  EXPECT_FALSE(app_.ui.opening);
}

// Events that are held back for the next frame are events that are waited for no longer.
TEST_F(WindowTest, HeldEventsAreDrawnAtOnce) {
  key(ImGuiKey_O, true);
  key(ImGuiMod_Ctrl, true);
  app_.draw();
  EXPECT_TRUE(app_.window.wait(0));
}

// Somebody without a plan, with images that come while he clicks: painting what changed gives the pixels of painting all.
TEST_F(WindowTest, WhatChangedIsPaintedAndNothingElseIsNeeded) {
  app_.studio.open_embedded();
  while (app_.studio.opening()) app_.turn();
  app_.studio.form.settings.grid.steps = 3;
  std::mt19937 random(5);
  const auto below = [&](int most) { return static_cast<float>(random() % static_cast<unsigned>(most)); };
  for (int i = 0; i < 120; ++i) {
    auto& io = ImGui::GetIO();
    if (i % 3 == 0) io.AddMousePosEvent(below(1280), below(800));
    if (i % 7 == 3) io.AddMouseButtonEvent(0, true), io.AddMouseButtonEvent(0, false);
    if (i % 11 == 5) io.AddMouseWheelEvent(0, below(5) - 2);
    if (i % 40 == 1) app_.studio.draw();
    if (i == 60) app_.studio.remembered.theme = "light";
    if (i == 80) app_.studio.remembered.scale = 1.5;
    if (i == 100) app_.window.resize(1023, 617);
    app_.studio.poll();
    app_.draw();
    const auto parts = app_.window.pixels();
    app_.window.repaint();
    ASSERT_TRUE(at::equal(parts, app_.window.pixels())) << "frame " << i;
  }
  EXPECT_FALSE(app_.studio.runs().empty());
}

}  // namespace
}  // namespace switchyard::gui

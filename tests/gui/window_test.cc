// What the window does with its own queue of events, without the Test Engine, which has one of its own.
#include <gtest/gtest.h>
#include <imgui.h>

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

}  // namespace
}  // namespace switchyard::gui

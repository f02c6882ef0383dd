// The real app in a window that nobody sees, driven by Dear ImGui's Test Engine: widgets are found by their labels and
// used as a person would.
#pragma once

#include <gtest/gtest.h>
#include <imgui.h>
#include <imgui_te_context.h>
#include <imgui_te_engine.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "app/gui/app.h"

namespace switchyard::gui {

class DrivenApp : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Runs `script` beside the app's frames until it is through.
  void drive(const std::function<void(ImGuiTestContext*)>& script);

  /// In a script: goes on with frames until the condition holds; a failure after so many seconds.
  void until(ImGuiTestContext* ui, const std::function<bool()>& condition, double seconds = 30);

  /// In a script: draws by the button with so few steps, and waits for the image.
  void draw(ImGuiTestContext* ui, int64_t steps = 5);

  /// In a script: what the window shows, see Window::pixels(). The script's thread has no OpenGL.
  at::Tensor pixels(ImGuiTestContext* ui);

  studio::Studio& studio() { return app_->studio; }
  bool at_rest() const {
    return !app_->studio.opening() && !app_->studio.drawing() && app_->studio.waiting() == 0;
  }

  std::optional<App> app_;
  std::filesystem::path folder_;  // for files, empty at first

 private:
  ImGuiTestEngine* engine_ = nullptr;
  bool pixels_wanted_ = false;
  at::Tensor pixels_;
};

}  // namespace switchyard::gui

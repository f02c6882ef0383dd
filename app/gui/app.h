// The app: a window, the studio, and the loop between them.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>

#include "app/gui/studio/studio.h"
#include "app/gui/ui.h"
#include "app/gui/window.h"

namespace switchyard::gui {

struct AppOptions {
  WindowOptions window = {};
  studio::StudioOptions studio = {};  // its wake is set here
  std::filesystem::path layout = {};  // where the panels' places are remembered; empty: nowhere
};

class App {
 public:
  /// Throws NoWindow.
  explicit App(AppOptions options);
  ~App();

  Window window;
  studio::Studio studio;
  Ui ui;

  /// One turn of the loop: waits for something to happen, and draws a frame where something did. True: it drew. While
  /// images are drawn, what they bring is shown up to ten times a second; what a person does, at once.
  bool turn();

  /// Draws a frame now.
  void draw();

 private:
  void apply_look();
  double busy_interval() const;
  double waiting_time() const;

  const std::filesystem::path layout_;
  std::chrono::steady_clock::time_point drawn_ = {};
  int owed_ = 3;          // frames: what Dear ImGui shows settles within a few
  bool changed_ = false;  // the studio has something that is not shown yet
};

}  // namespace switchyard::gui

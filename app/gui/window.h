// The window: GLFW, OpenGL 3.3 and Dear ImGui, drawn anew only where something happened. It belongs to the thread that
// made it; there is one at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "app/gui/painter.h"

struct GLFWwindow;

namespace switchyard::gui {

/// No display, or no OpenGL 3.3 on it: one sentence that says so, and what can be done.
struct NoWindow : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct WindowOptions {
  std::string title = "Switchyard";
  int width = 1440, height = 900;  // pixels; made smaller where the monitor is
  bool visible = true;
};

class Window {
 public:
  /// Throws NoWindow.
  explicit Window(const WindowOptions& options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  bool closing() const;
  void close();
  double monitor_scale() const;  // 1, or 2 on a monitor of twice the dots per inch
  void set_title(const std::string& title);
  void resize(int width, int height);  // pixels

  /// Waits for at most so many seconds, 0 or more. True: somebody pressed or moved something, or the window has to be drawn.
  bool wait(double seconds);

  /// Ends a wait, from any thread.
  static void wake();

  /// Files dropped on the window since the last call.
  std::vector<std::filesystem::path> take_dropped();

  /// As if somebody had dropped them.
  void drop(const std::vector<std::filesystem::path>& files);

  /// Between the two, Dear ImGui may be called.
  void begin_frame();
  void end_frame();

  /// What the last frame drew: [H, W, 3] uint8.
  at::Tensor pixels() const { return painter_->pixels(); }

  /// False: frames are painted as a whole, and not what changed in them alone; the pixels are the same. To compare with.
  void set_partly(bool partly) { painter_->partly = partly; }

  /// Paints the last frame again, as a whole.
  void repaint();

 private:
  void paint();

  GLFWwindow* window_ = nullptr;
  std::optional<Painter> painter_;  // while there is OpenGL
  bool exposed_ = true;
  std::vector<std::filesystem::path> dropped_;
};

}  // namespace switchyard::gui

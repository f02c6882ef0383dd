#include "app/gui/app.h"

#include <imgui.h>

#include <algorithm>
#include <utility>

#include "app/gui/layout.h"

namespace switchyard::gui {
namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// Between frames that nobody asked for but the drawing: so many times as long as one takes, at least a tenth of a second.
// With software OpenGL a frame takes 40 ms of the processors that draw, and the rate of frames gives way.
constexpr double kBusyInterval = 0.1, kBusyFrames = 24;
constexpr double kMovingInterval = 0.04;
constexpr double kIdleInterval = 1, kBlinkInterval = 0.4;

studio::StudioOptions with_wake(studio::StudioOptions options) {
  options.wake = Window::wake;
  return options;
}

}  // namespace

App::App(AppOptions options)
    : window(options.window),
      studio(with_wake(options.studio)),
      ui(studio),
      layout_(std::move(options.layout)) {
  ui.wake = Window::wake;
  load_layout(layout_);
  apply_look();
}

App::~App() { save_layout(layout_); }

void App::apply_look() {
  const auto& wanted = studio.remembered;
  const double scale = wanted.scale > 0 ? wanted.scale : window.monitor_scale();
  if (ui.theme.regular && ui.theme.name == wanted.theme && ui.theme.scale == static_cast<float>(scale))
    return;
  apply_theme(ui.theme, wanted.theme, scale);
}

double App::busy_interval() const { return std::max(kBusyInterval, kBusyFrames * ui.frame_ms * 1e-3); }

double App::waiting_time() const {
  if (owed_ > 0) return 0;
  if (changed_) return std::max(0.001, busy_interval() - Seconds(Clock::now() - drawn_).count());
  if (ui.wants_frames) return std::max(0.001, kMovingInterval - Seconds(Clock::now() - drawn_).count());
  return ImGui::GetIO().WantTextInput ? kBlinkInterval : kIdleInterval;
}

bool App::turn() {
  if (window.wait(waiting_time())) owed_ = 3;
  changed_ |= studio.poll();
  if (ui.folder) changed_ |= ui.folder->poll();
  for (const auto& path : window.take_dropped()) studio.drop(path), changed_ = true;
  const double since = Seconds(Clock::now() - drawn_).count();
  const bool moving = ui.wants_frames && since >= kMovingInterval;
  const bool blinking = ImGui::GetIO().WantTextInput && since >= kBlinkInterval;
  if ((changed_ && since >= busy_interval()) || moving || blinking) owed_ = std::max(owed_, 1);
  if (owed_ == 0) return false;
  --owed_;
  draw();
  return true;
}

void App::draw() {
  const auto start = Clock::now();
  changed_ = false;
  apply_look();
  if (const auto* run = studio.drawing(); run && run->seconds > 0) {
    ui.steps_per_second = run->progress * static_cast<double>(run->steps()) / run->seconds;
  }
  window.begin_frame();
  frame(ui);
  window.end_frame();
  if (ui.quit) window.close();
  drawn_ = Clock::now();
  ui.frame_ms = Seconds(drawn_ - start).count() * 1e3;
}

}  // namespace switchyard::gui

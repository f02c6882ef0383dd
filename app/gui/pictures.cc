#include "app/gui/pictures.h"

#include <ATen/ATen.h>
#include <imgui.h>

#include <cfloat>
#include <vector>

#include "io/animation.h"
#include "io/png.h"
#include "pipeline/routing_facts.h"

namespace switchyard::gui {
namespace {

constexpr int kStepTime = 120, kRestTime = 1600;  // ms

bool at_rest(const App& app) {
  return !app.studio.opening() && !app.studio.drawing() && app.studio.waiting() == 0;
}

bool failed(const App& app) { return app.studio.status().kind == studio::Status::Kind::error; }

// What Dear ImGui shows settles within a few frames.
void settle(App& app, int frames = 8) {
  for (int i = 0; i < frames; ++i) {
    ImGui::GetIO().AddMousePosEvent(-FLT_MAX, -FLT_MAX);  // no tooltips
    app.draw();
  }
}

bool rest(App& app) {
  return run_until(app, [&] { return at_rest(app); }) && !failed(app);
}

// A frame for each step that can be seen, until all is drawn.
bool film(App& app, std::vector<io::Frame>& frames) {
  uint64_t seen = 0;
  const auto shoot = [&](int milliseconds) {
    settle(app, 2);
    frames.push_back({app.window.pixels(), milliseconds});
  };
  while (!app.window.closing() && !failed(app)) {
    app.turn();
    const auto* run = app.studio.drawing();
    if (run && run->version != seen) {
      seen = run->version;
      shoot(kStepTime);
    }
    if (!at_rest(app)) continue;
    shoot(kRestTime);
    return true;
  }
  return false;
}

// Of the layer that is looked at, over all steps.
int64_t strongest_expert(const studio::Run& run, int64_t layer) {
  const auto shares = pipeline::shares(run.records.at(0)).select(1, layer).to(at::kDouble);
  return at::nan_to_num(shares).sum(0).argmax().item<int64_t>();
}

}  // namespace

bool take_picture(App& app, const View& view, const std::filesystem::path& file) {
  if (!rest(app)) return false;
  auto& selection = app.studio.selection;
  if (view.layer) selection.layer = *view.layer;
  if (view.step) selection.step = *view.step, selection.follow = false;
  if (view.mute) {
    app.studio.mute(selection.layer, *view.mute);
    if (!rest(app)) return false;
    app.ui.canvas = CanvasMode::side_by_side;
  }
  settle(app);
  if (!view.panel.empty()) {
    ImGui::SetWindowFocus(view.panel.c_str());
    settle(app);
  }
  io::write_png(file, app.window.pixels());
  return true;
}

bool take_animation(App& app, const std::filesystem::path& file) {
  std::vector<io::Frame> frames;
  if (!film(app, frames)) return false;
  const auto* run = app.studio.selected();
  if (run && !run->records.empty()) {
    const auto layer = app.studio.selection.layer;
    app.studio.mute(layer, strongest_expert(*run, layer));
    app.ui.canvas = CanvasMode::side_by_side;
    if (!film(app, frames)) return false;
  }
  io::write_animation(file, frames);
  return true;
}

}  // namespace switchyard::gui

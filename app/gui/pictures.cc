#include "app/gui/pictures.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>
#include <imgui.h>

#include <algorithm>
#include <cctype>
#include <cfloat>
#include <utility>

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

// Selection and edits as the view wants them.
bool look_at(App& app, const View& view) {
  auto& selection = app.studio.selection;
  if (view.layer) selection.layer = *view.layer;
  if (view.step) selection.step = *view.step, selection.follow = false;
  if (view.expert) selection.expert = view.expert;
  if (view.patch) selection.patch = view.patch;
  if (!view.mute) return true;
  app.studio.mute(selection.layer, *view.mute);
  app.ui.canvas = CanvasMode::side_by_side;
  return rest(app);
}

// Asks what the panel measures, where it is not known.
bool measure(App& app, const std::string& panel) {
  auto& studio = app.studio;
  const auto* run = studio.selected();
  if (!run) return true;
  const auto& selection = studio.selection;
  if (panel == kRank) studio.rank(run->id, selection.router, -1);
  if (panel == kContent) studio.ask_content_or_place(run->id, {selection.image, selection.step});
  if (panel == kWhatIf)
    studio.ask_what_if(run->id, {selection.image, selection.step, selection.layer, *selection.patch});
  return run_until(app, [&] { return !run->studies.ranking && run->studies.under_way().empty(); }) &&
         !failed(app);
}

// Brings a panel to the front with something in it.
bool show(App& app, const View& view) {
  auto& selection = app.studio.selection;
  const auto* run = app.studio.selected();
  if (view.panel == kPatches) selection.expert = view.expert.value_or(0);
  if (view.panel == kWhatIf && run) selection.patch = view.patch.value_or(run->config.tokens() / 2);
  if (!measure(app, view.panel)) return false;
  app.ui.gate_shows = view.panel == kGate ? 1 : 0;
  settle(app);
  if (view.panel.empty()) return true;
  ImGui::SetWindowFocus(view.panel == kGate ? kTimestepMap : view.panel.c_str());
  settle(app);
  return true;
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
  if (!rest(app) || !look_at(app, view) || !show(app, view)) return false;
  io::write_png(file, app.window.pixels());
  return true;
}

bool take_pictures(App& app, View view, const std::vector<Screen>& screens,
                   const std::filesystem::path& folder) {
  View first, compared;
  first.layer = view.layer, first.step = view.step, compared.mute = view.mute;
  if (!rest(app) || !look_at(app, first)) return false;
  const auto selection = app.studio.selection;
  for (const char* panel : kPictured) {
    if (!app.studio.selected() || (panel == kGate && !app.studio.selected()->gate)) continue;
    if (panel != kQueue && panel != kSurgery) app.studio.selection = selection;
    // From the gallery on there is something to compare, and an edit.
    if (panel == kGallery && view.mute && !look_at(app, compared)) return false;
    view.panel = panel;
    for (const auto& [width, height, scale] : screens) {
      app.window.resize(width, height);
      app.studio.remembered.scale = scale;
      app.ui.reset_layout = true;
      if (!show(app, view)) return false;
      auto name = c10::str(panel, "-", width, "x", height, "-", scale, "x.png");
      std::ranges::transform(name, name.begin(),
                             [](unsigned char c) { return c == ' ' ? '-' : std::tolower(c); });
      io::write_png(folder / name, app.window.pixels());
    }
  }
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

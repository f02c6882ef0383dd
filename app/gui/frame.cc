// One frame: keys, menu, status bar and the panels.
#include <imgui.h>
#include <imgui_internal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "app/gui/layout.h"
#include "app/gui/studio/exports.h"
#include "app/gui/ui.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPlayEvery = std::chrono::milliseconds(120);

// What the selection means in this frame. A second run is looked at in the same place as the first.
void look(Ui& ui) {
  auto& selection = ui.studio.selection;
  ui.run = ui.studio.selected();
  ui.record = ui.run ? selection.clamp(*ui.run) : nullptr;
  const auto* before = ui.other;
  ui.other = ui.studio.compared();
  if (ui.other && ui.other != before && ui.canvas == CanvasMode::one) ui.canvas = CanvasMode::side_by_side;
  ui.other_record = ui.other ? ui.other->record(selection.router) : nullptr;
  if (ui.patch_shows == PatchShows::changed && !ui.other_record) ui.patch_shows = PatchShows::expert;
  if (!ui.other && ui.canvas > CanvasMode::all) ui.canvas = CanvasMode::one;
}

void play(Ui& ui) {
  if (!ui.playing || !ui.run) return;
  ui.wants_frames = true;
  if (Clock::now() - *ui.playing < kPlayEvery) return;
  ui.playing = Clock::now();
  if (ui.studio.selection.step + 1 >= ui.run->steps()) {
    ui.playing.reset();
  } else {
    go_to_step(ui, ui.studio.selection.step + 1);
  }
}

void set_scale(Ui& ui, double scale) {
  ui.studio.remembered.scale = std::clamp(std::round(scale * 20) / 20, 0.5, 4.0);
}

void keys(Ui& ui) {
  const auto pressed = [](ImGuiKeyChord chord) { return ImGui::IsKeyChordPressed(chord); };
  auto& studio = ui.studio;
  auto& selection = studio.selection;
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_Enter) || pressed(ImGuiMod_Ctrl | ImGuiKey_KeypadEnter)) studio.draw();
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_O)) ui.opening = true;
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_Q)) ui.quit = true;
  if (pressed(ImGuiKey_F1)) ui.keys = !ui.keys;
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_Equal) || pressed(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_Equal) ||
      pressed(ImGuiMod_Ctrl | ImGuiKey_KeypadAdd)) {
    set_scale(ui, ui.theme.scale * 1.1);
  }
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_Minus) || pressed(ImGuiMod_Ctrl | ImGuiKey_KeypadSubtract))
    set_scale(ui, ui.theme.scale / 1.1);
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_0)) studio.remembered.scale = 0;
  const bool typing = ImGui::GetIO().WantTextInput, popup = ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup);
  if (typing || popup) return;
  if (pressed(ImGuiKey_Escape)) {
    if (ui.brush) {
      ui.brush.reset();
    } else {
      studio.cancel();
    }
  }
  if (pressed(ImGuiMod_Ctrl | ImGuiKey_C)) copy_image(ui);
  if (ImGui::IsAnyItemActive() || !ui.run || ui.gallery_focused) return;
  const auto plain = [](ImGuiKey key) { return ImGui::IsKeyPressed(key) && ImGui::GetIO().KeyMods == 0; };
  if (plain(ImGuiKey_Space)) toggle_play(ui);
  if (plain(ImGuiKey_LeftArrow)) go_to_step(ui, std::max<int64_t>(0, selection.step - 1));
  if (plain(ImGuiKey_RightArrow)) go_to_step(ui, std::min(ui.run->steps() - 1, selection.step + 1));
  if (ui.record && plain(ImGuiKey_UpArrow)) selection.layer = std::max<int64_t>(0, selection.layer - 1);
  if (ui.record && plain(ImGuiKey_DownArrow))
    selection.layer = std::min(ui.record->layers() - 1, selection.layer + 1);
}

void menu(Ui& ui) {
  if (!ImGui::BeginMainMenuBar()) return;
  auto& studio = ui.studio;
  if (ImGui::BeginMenu("File")) {
    if (ImGui::MenuItem("Open...", "Ctrl+O")) ui.opening = true;
    if (ImGui::MenuItem("Open the embedded model")) studio.open_embedded();
    if (ImGui::BeginMenu("Recent models", !studio.remembered.recent.empty())) {
      for (const auto& file : studio.remembered.recent) {
        if (ImGui::MenuItem(file.string().c_str()))
          ui.later.push_back([&studio, file] { studio.open(file); });
      }
      ImGui::EndMenu();
    }
    ImGui::Separator();
    const bool drawn = ui.run != nullptr;
    if (ImGui::MenuItem("Save image...", nullptr, false, drawn)) {
      const auto run = studio.selection.run, image = studio.selection.image;
      ui.saving = SaveDialog{
          "Save the image into the folder", ".",
          [&studio, run, image](const std::filesystem::path& folder) { studio.save(run, folder, image); }};
    }
    if (ImGui::MenuItem("Save all images of the run...", nullptr, false, drawn)) {
      ui.saving = SaveDialog{"Save all images into the folder", ".",
                             [&studio, run = studio.selection.run](const std::filesystem::path& folder) {
                               studio.save(run, folder);
                             }};
    }
    if (ImGui::MenuItem("Copy image", "Ctrl+C", false, drawn)) copy_image(ui);
    ImGui::Separator();
    if (ImGui::MenuItem("Quit", "Ctrl+Q")) ui.quit = true;
    ImGui::EndMenu();
  }
  if (ImGui::BeginMenu("View")) {
    const bool light = studio.remembered.theme == "light";
    if (ImGui::MenuItem("Light theme", nullptr, light)) studio.remembered.theme = "light";
    if (ImGui::MenuItem("Dark theme", nullptr, !light)) studio.remembered.theme = "dark";
    ImGui::Separator();
    if (ImGui::MenuItem("Larger", "Ctrl +")) set_scale(ui, ui.theme.scale * 1.1);
    if (ImGui::MenuItem("Smaller", "Ctrl -")) set_scale(ui, ui.theme.scale / 1.1);
    if (ImGui::MenuItem("Size of the monitor", "Ctrl 0", studio.remembered.scale == 0))
      studio.remembered.scale = 0;
    ImGui::Separator();
    if (ImGui::MenuItem("Reset layout")) ui.reset_layout = true;
    ImGui::EndMenu();
  }
  if (ImGui::BeginMenu("Help")) {
    if (ImGui::MenuItem("Keys", "F1", ui.keys)) ui.keys = !ui.keys;
    if (ImGui::MenuItem("First steps", nullptr, !studio.remembered.hint_seen))
      studio.remembered.hint_seen = !studio.remembered.hint_seen;
    ImGui::EndMenu();
  }
  ImGui::EndMainMenuBar();
}

// Resident, of this process; read once in a second.
void read_memory(Ui& ui) {
  if (Clock::now() - ui.memory_read < std::chrono::seconds(1)) return;
  ui.memory_read = Clock::now();
  std::ifstream statm("/proc/self/statm");
  double all = 0, resident = 0;
  if (statm >> all >> resident)
    ui.memory_mib = resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void status_bar(Ui& ui) {
  read_memory(ui);
  const float height = ImGui::GetFrameHeight();
  const auto flags =
      ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_MenuBar;
  ImGui::PushStyleVar(ImGuiStyleVar_WindowMinSize, ImVec2(0, 0));
  if (ImGui::BeginViewportSideBar("##status", ImGui::GetMainViewport(), ImGuiDir_Down, height, flags) &&
      ImGui::BeginMenuBar()) {
    const auto& status = ui.studio.status();
    const auto* drawing = ui.studio.drawing();
    std::string right;
    if (drawing) {
      right =
          "step " +
          std::to_string(static_cast<int64_t>(drawing->progress * static_cast<double>(drawing->steps()))) +
          " of " + std::to_string(drawing->steps());
      if (ui.steps_per_second > 0) right += ", " + number(ui.steps_per_second) + " steps/s";
      if (const double left = ui.studio.seconds_left(); left > 0)
        right += ", " + seconds_text(left) + " left";
    } else if (ui.studio.opening()) {
      right = "opening";
    } else {
      right = "ready";
    }
    if (const auto* model = ui.studio.model())
      right += "   |   " + model->name + (ui.studio.device().is_cpu() ? ", CPU " : ", GPU ") +
               model->provenance.dtype;
    if (ui.memory_mib > 0) right += ", " + std::to_string(std::lround(ui.memory_mib)) + " MiB";
    const float right_width = ImGui::CalcTextSize(right.c_str()).x;
    const float space = ImGui::GetContentRegionAvail().x;
    const auto color = status.kind == studio::Status::Kind::error     ? ui.theme.error
                       : status.kind == studio::Status::Kind::warning ? ui.theme.warning
                                                                      : ImGui::GetColorU32(ImGuiCol_Text);
    auto at = ImGui::GetCursorScreenPos();
    at.y += ImGui::GetStyle().FramePadding.y;
    // One line, cut off with dots where it is longer; the tooltip has all of it.
    const float most = std::max(0.0f, space - right_width - ui.theme.px(24));
    ImGui::PushStyleColor(ImGuiCol_Text, color);
    const ImVec2 end{at.x + most, at.y + ImGui::GetTextLineHeight() + ui.theme.px(6)};
    ImGui::RenderTextEllipsis(ImGui::GetWindowDrawList(), at, end, end.x, status.text.c_str(), nullptr,
                              nullptr);
    ImGui::PopStyleColor();
    ImGui::InvisibleButton("message", {std::max(most, 1.0f), ImGui::GetTextLineHeight()});
    if (ImGui::CalcTextSize(status.text.c_str()).x > most) tip(status.text.c_str());
    ImGui::GetWindowDrawList()->AddText({at.x + space - right_width, at.y}, ui.theme.quiet, right.c_str());
    ImGui::EndMenuBar();
  }
  ImGui::End();
  ImGui::PopStyleVar();
}

void panel(Ui& ui, const char* name, void (*draw)(Ui&), ImGuiWindowFlags flags = 0) {
  if (ImGui::Begin(name, nullptr, flags | ImGuiWindowFlags_NoCollapse)) draw(ui);
  ImGui::End();
}

}  // namespace

void toggle_play(Ui& ui) {
  if (!ui.run || ui.playing) {
    ui.playing.reset();
    return;
  }
  if (ui.studio.selection.step + 1 >= ui.run->steps()) go_to_step(ui, 0);
  ui.playing = Clock::now();
}

void copy_image(Ui& ui) {
  const auto& selection = ui.studio.selection;
  const auto pixels = ui.run ? ui.run->shown(selection.image, selection.step) : at::Tensor();
  if (!pixels.defined()) return;
  if (ui.studio.attempt("Cannot copy", [&] { ui.clipboard.copy_png(studio::png_bytes(pixels)); }))
    ui.studio.say("Copied " + ui.run->title(selection.image));
}

void frame(Ui& ui) {
  ui.wants_frames = false;
  look(ui);
  play(ui);
  keys(ui);
  ui.gallery_focused = false;  // unless it says so again in this frame
  menu(ui);
  status_bar(ui);
  // The panels that lie in front at first: a dock takes whichever appeared last.
  if (dock_space(std::exchange(ui.reset_layout, false))) ui.frames_to_front = 5;
  constexpr auto still = ImGuiWindowFlags_NoScrollbar | ImGuiWindowFlags_NoScrollWithMouse;
  panel(ui, kGenerate, generate_panel);
  panel(ui, kSurgery, surgery_panel);
  panel(ui, kQueue, queue_panel);
  panel(ui, kCanvas, canvas_panel, still);
  panel(ui, kGallery, gallery_panel);
  panel(ui, kPatchMap, patch_map_panel);
  panel(ui, kTimestepMap, timestep_map_panel);
  panel(ui, kAtlas, atlas_panel);
  panel(ui, kFlow, flow_panel);
  panel(ui, kRank, rank_panel);
  panel(ui, kPatches, patches_panel);
  panel(ui, kWhatIf, what_if_panel);
  panel(ui, kContent, content_panel);
  // One a frame, the canvas last: a dock looks at where the focus is.
  if (ui.frames_to_front > 0) {
    constexpr const char* kFront[] = {kCanvas, kTimestepMap, kGenerate};
    if (const int frame = --ui.frames_to_front; frame < 3) ImGui::SetWindowFocus(kFront[frame]);
    ui.wants_frames = true;
  }
  dialogs(ui);
  for (auto& action : std::exchange(ui.later, {})) action();
  ui.textures.end_frame();
}

}  // namespace switchyard::gui

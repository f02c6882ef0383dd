// What stands in front of the panels for a moment: where to save, what to open, what a PNG would change, keys, first steps.
#include <imgui.h>
#include <misc/cpp/imgui_stdlib.h>

#include <algorithm>
#include <cctype>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

void center() {
  const auto* viewport = ImGui::GetMainViewport();
  ImGui::SetNextWindowPos(viewport->GetWorkCenter(), ImGuiCond_Always, {0.5f, 0.5f});
}

constexpr auto kModal =
    ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoSavedSettings | ImGuiWindowFlags_NoMove;

// Two buttons at the end of a dialog. 1: the first, -1: the second or Esc, 0: neither yet.
int answer(Ui& ui, const char* yes, const char* no, bool enter) {
  ImGui::Spacing();
  ImGui::BeginGroup();
  ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyleColorVec4(ImGuiCol_Header));
  const bool done = ImGui::Button(yes, {ui.theme.px(110), 0}) || enter;
  ImGui::PopStyleColor();
  ImGui::SameLine();
  const bool left = ImGui::Button(no, {ui.theme.px(110), 0}) || ImGui::IsKeyPressed(ImGuiKey_Escape);
  ImGui::EndGroup();
  return done ? 1 : left ? -1 : 0;
}

void save_dialog(Ui& ui) {
  if (ui.saving && !ImGui::IsPopupOpen("Save")) ImGui::OpenPopup("Save");
  center();
  if (!ImGui::BeginPopupModal("Save", nullptr, kModal)) return;
  if (!ui.saving) {
    ImGui::CloseCurrentPopup();
    return ImGui::EndPopup();
  }
  ImGui::TextUnformatted(ui.saving->title.c_str());
  if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(ui.theme.px(420));
  const bool enter = ImGui::InputText("##path", &ui.saving->path, ImGuiInputTextFlags_EnterReturnsTrue);
  const auto where = std::filesystem::absolute(ui.saving->path).lexically_normal().string();
  ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + ui.theme.px(420));
  ImGui::TextDisabled("%s", where.c_str());
  ImGui::PopTextWrapPos();
  if (const int said = answer(ui, "Save", "Cancel", enter)) {
    if (said > 0) {
      const auto saving = *ui.saving;
      if (ui.studio.attempt("cannot save", [&] { saving.write(saving.path); }) &&
          ui.studio.status().kind != studio::Status::Kind::error) {
        ui.studio.say("saved: " + where);
      }
    }
    ui.saving.reset();
    ImGui::CloseCurrentPopup();
  }
  ImGui::EndPopup();
}

// Folders, and the files that may be models, images or recipes, of the folder that the path names.
std::vector<std::filesystem::directory_entry> entries_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::directory_entry> entries;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator(
           folder, std::filesystem::directory_options::skip_permission_denied, error);
       !error && it != std::filesystem::directory_iterator() && entries.size() < 2000; it.increment(error)) {
    const auto extension = it->path().extension();
    const bool fits = it->is_directory(error) || extension == ".safetensors" || extension == ".pt" ||
                      extension == ".png" || extension == ".json";
    if (fits && it->path().filename().string()[0] != '.') entries.push_back(*it);
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    std::error_code ignored;
    const bool folder_a = a.is_directory(ignored), folder_b = b.is_directory(ignored);
    return folder_a != folder_b ? folder_a : a.path() < b.path();
  });
  return entries;
}

void open_dialog(Ui& ui) {
  if (ui.opening && !ImGui::IsPopupOpen("Open")) {
    if (ui.open_path.empty()) ui.open_path = std::filesystem::current_path().string() + "/";
    ImGui::OpenPopup("Open");
  }
  center();
  if (!ImGui::BeginPopupModal("Open", nullptr, kModal)) return;
  ImGui::TextUnformatted("A model, a PNG drawn by Switchyard, or a recipe");
  if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere();
  ImGui::SetNextItemWidth(ui.theme.px(460));
  bool enter = ImGui::InputText("##path", &ui.open_path, ImGuiInputTextFlags_EnterReturnsTrue);
  std::error_code error;
  auto folder = std::filesystem::path(ui.open_path);
  if (!std::filesystem::is_directory(folder, error)) folder = folder.parent_path();
  ImGui::BeginChild("entries", {ui.theme.px(460), ui.theme.px(260)}, ImGuiChildFlags_Borders);
  if (ImGui::Selectable("..", false, ImGuiSelectableFlags_NoAutoClosePopups))
    ui.open_path = folder.lexically_normal().parent_path().parent_path().string() + "/";
  for (const auto& entry : entries_of(folder)) {
    const bool is_folder = entry.is_directory(error);
    const auto name = entry.path().filename().string() + (is_folder ? "/" : "");
    const bool chosen = entry.path() == std::filesystem::path(ui.open_path);
    if (!ImGui::Selectable(name.c_str(), chosen,
                           ImGuiSelectableFlags_NoAutoClosePopups | ImGuiSelectableFlags_AllowDoubleClick))
      continue;
    ui.open_path = entry.path().string() + (is_folder ? "/" : "");
    enter = !is_folder && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left);
  }
  ImGui::EndChild();
  if (const int said = answer(ui, "Open", "Cancel", enter)) {
    if (said > 0) ui.later.push_back([&ui] { ui.studio.drop(ui.open_path); });
    ui.opening = false;
    ImGui::CloseCurrentPopup();
  }
  ImGui::EndPopup();
}

void restore_dialog(Ui& ui) {
  const auto& restored = ui.studio.restored();
  if (restored && !ImGui::IsPopupOpen("What would change")) ImGui::OpenPopup("What would change");
  center();
  if (!ImGui::BeginPopupModal("What would change", nullptr, kModal)) return;
  if (!restored) {
    ImGui::CloseCurrentPopup();
    return ImGui::EndPopup();
  }
  ImGui::TextUnformatted(std::filesystem::path(restored->source).filename().string().c_str());
  ImGui::Spacing();
  if (restored->changes.empty()) {
    ImGui::TextDisabled("It was drawn with what is chosen now: nothing would change.");
  } else if (ImGui::BeginTable("changes", 3, ImGuiTableFlags_RowBg | ImGuiTableFlags_SizingFixedFit)) {
    ImGui::TableSetupColumn("setting");
    ImGui::TableSetupColumn("now");
    ImGui::TableSetupColumn("in the image");
    ImGui::TableHeadersRow();
    for (const auto& change : restored->changes) {
      ImGui::TableNextRow();
      if (change.warning) ImGui::PushStyleColor(ImGuiCol_Text, ui.theme.warning);
      for (const auto* text : {&change.field, &change.from, &change.to}) {
        ImGui::TableNextColumn();
        ImGui::TextUnformatted(text->c_str());
      }
      if (change.warning) ImGui::PopStyleColor();
    }
    ImGui::EndTable();
  }
  if (const int said = answer(ui, "Apply", "Leave", false)) {
    ui.later.push_back([&ui, said] { said > 0 ? ui.studio.apply_restored() : ui.studio.dismiss_restored(); });
    ImGui::CloseCurrentPopup();
  }
  ImGui::EndPopup();
}

void keys_page(Ui& ui) {
  if (!ui.keys) return;
  center();
  if (ImGui::Begin("Keys", &ui.keys, kModal | ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoCollapse) &&
      ImGui::BeginTable("keys", 2, ImGuiTableFlags_SizingFixedFit)) {
    constexpr std::pair<const char*, const char*> kKeys[] = {
        {"Ctrl+Enter", "draw"},
        {"Esc", "cancel what is being drawn, then what is measured; end painting"},
        {"Ctrl+C", "copy the image"},
        {"Left, Right", "step before, step after"},
        {"Space", "play the steps"},
        {"Up, Down", "layer before, layer after"},
        {"Arrows in the gallery", "browse; Enter: use the settings of a file"},
        {"Wheel, drag", "zoom and move an image; double click: fit"},
        {"Click in the patch map", "pin a patch and follow it"},
        {"Click in the atlas", "patch map of that expert"},
        {"Ctrl+click in the atlas", "mute the expert, draw again beside"},
        {"Right click", "on an expert, a run, an image, a setting: more"},
        {"Ctrl+O", "open a model, an image, a recipe"},
        {"Ctrl+plus, minus, 0", "larger, smaller, as the monitor"},
        {"F1", "this page"},
        {"Ctrl+Q", "quit"},
    };
    for (const auto& [key, what] : kKeys) {
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      ImGui::PushFont(ui.theme.semibold, 0);
      ImGui::TextUnformatted(key);
      ImGui::PopFont();
      ImGui::TableNextColumn();
      ImGui::TextUnformatted(what);
    }
    ImGui::EndTable();
  }
  if (ImGui::IsWindowFocused() && ImGui::IsKeyPressed(ImGuiKey_Escape)) ui.keys = false;
  ImGui::End();
}

void first_steps(Ui& ui) {
  if (ui.studio.remembered.hint_seen) return;
  center();
  ImGui::PushStyleColor(ImGuiCol_WindowBg, ImGui::GetStyleColorVec4(ImGuiCol_PopupBg));
  ImGui::PushStyleColor(ImGuiCol_Border, ImGui::GetStyleColorVec4(ImGuiCol_TabSelectedOverline));
  ImGui::PushStyleVar(ImGuiStyleVar_WindowBorderSize, ui.theme.px(1));
  if (ImGui::Begin("First steps", nullptr,
                   kModal | ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoCollapse)) {
    ImGui::TextUnformatted("1.  Ctrl+Enter draws; the image forms in the middle, the routing beside it.");
    ImGui::TextUnformatted(
        "2.  Move the step and layer sliders afterwards; hover a patch to see its experts.");
    ImGui::TextUnformatted(
        "3.  Ctrl+click an expert in the atlas: it is muted, and the same seed is drawn again.");
    ImGui::Spacing();
    if (ImGui::Button("All right", {ui.theme.px(110), 0})) ui.studio.remembered.hint_seen = true;
    ImGui::SameLine();
    if (ImGui::Button("Draw now", {ui.theme.px(110), 0}))
      ui.studio.remembered.hint_seen = true, ui.studio.draw();
  }
  ImGui::End();
  ImGui::PopStyleVar();
  ImGui::PopStyleColor(2);
}

}  // namespace

void dialogs(Ui& ui) {
  save_dialog(ui);
  open_dialog(ui);
  restore_dialog(ui);
  keys_page(ui);
  first_steps(ui);
}

}  // namespace switchyard::gui

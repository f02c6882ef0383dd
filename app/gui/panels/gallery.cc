// Gallery: everything drawn in this run of the program, or the PNGs of a folder.
#include <imgui.h>
#include <misc/cpp/imgui_stdlib.h>

#include <algorithm>
#include <cmath>

#include "app/gui/studio/colors.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

struct Item {
  const studio::Run* run;
  int64_t image;
};

// The newest first.
std::vector<Item> drawn_items(const Ui& ui) {
  std::vector<Item> items;
  for (const auto& run : ui.studio.runs()) {
    for (int64_t i = 0; i < static_cast<int64_t>(run.images.size()); ++i) {
      if (run.finished(i)) items.push_back({&run, i});
    }
  }
  std::reverse(items.begin(), items.end());
  return items;
}

void menu(Ui& ui, const Item& item) {
  if (!ImGui::BeginPopupContextItem("of image")) return;
  const int64_t run = item.run->id, image = item.image;
  if (ImGui::MenuItem("Use these settings"))
    ui.later.push_back([&ui, run, image] { ui.studio.use_settings_of(run, image); });
  if (ImGui::MenuItem("Compare with this (B)", nullptr, false, ui.studio.selection.run != run))
    ui.studio.selection.other = run;
  if (ImGui::MenuItem("Save...")) {
    ui.saving = SaveDialog{
        "Save the image into the folder", ".",
        [&ui, run, image](const std::filesystem::path& folder) { ui.studio.save(run, folder, image); }};
  }
  ImGui::EndPopup();
}

void show(const Texture& texture, ImVec2 from, float side) {
  const auto longer = static_cast<float>(std::max({texture.width, texture.height, 1}));
  const ImVec2 size{side * static_cast<float>(texture.width) / longer,
                    side * static_cast<float>(texture.height) / longer};
  from.x += std::floor((side - size.x) / 2), from.y += std::floor((side - size.y) / 2);
  const ImVec2 to{from.x + size.x, from.y + size.y};
  if (longer <= side) {
    add_pixels(ImGui::GetWindowDrawList(), texture, from, to);
  } else {
    add_smooth(ImGui::GetWindowDrawList(), texture, from, to);
  }
}

// Squares in rows, of which those in sight are drawn: square(index, side). While the gallery has the focus, the arrows
// move `chosen` (-1: none yet). True: they did.
template <class Square>
bool grid(Ui& ui, int64_t count, int64_t& chosen, Square square) {
  ImGui::BeginChild("images");
  const float gap = ui.theme.px(4), space = ImGui::GetContentRegionAvail().x;
  const auto columns = std::max<int64_t>(1, static_cast<int64_t>((space + gap) / (ui.theme.px(128) + gap)));
  const float side =
      std::clamp(std::floor((space - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns)),
                 1.0f, ui.theme.px(180));
  bool moved = false;
  if (ui.gallery_focused && !ImGui::GetIO().WantTextInput && ImGui::GetIO().KeyMods == 0) {
    const auto pressed = [](ImGuiKey key) { return ImGui::IsKeyPressed(key) ? 1 : 0; };
    const auto by = pressed(ImGuiKey_RightArrow) - pressed(ImGuiKey_LeftArrow) +
                    columns * (pressed(ImGuiKey_DownArrow) - pressed(ImGuiKey_UpArrow));
    const auto next = std::clamp<int64_t>(chosen < 0 ? 0 : chosen + by, 0, count - 1);
    moved = by != 0 && next != chosen;
    if (moved) chosen = next;
  }
  if (moved) {  // into sight
    const float top = static_cast<float>(chosen / columns) * (side + gap), height = ImGui::GetWindowHeight();
    ImGui::SetScrollY(std::clamp(ImGui::GetScrollY(), std::max(0.0f, top + side - height), top));
  }
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(gap, gap));
  ImGuiListClipper clipper;  // what is out of sight costs nothing
  clipper.Begin(static_cast<int>((count + columns - 1) / columns), side + gap);
  while (clipper.Step()) {
    for (int64_t row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      for (int64_t i = row * columns; i < std::min((row + 1) * columns, count); ++i) {
        if (i > row * columns) ImGui::SameLine();
        const auto from = ImGui::GetCursorScreenPos();
        square(i, side);
        if (i == chosen)
          ImGui::GetWindowDrawList()->AddRect(from, {from.x + side, from.y + side}, ui.theme.accent, 0, 0,
                                              ui.theme.px(3));
      }
    }
  }
  ImGui::PopStyleVar();
  ImGui::EndChild();
  return moved;
}

void choose(Ui& ui, const Item& item) {
  ui.later.push_back([&ui, id = item.run->id, image = item.image] {
    ui.studio.select(id);
    ui.studio.selection.image = image;
  });
}

void thumbnail(Ui& ui, const Item& item, float side) {
  const auto& run = *item.run;
  ImGui::PushID(static_cast<int>(run.id));
  ImGui::PushID(static_cast<int>(item.image));
  const auto from = ImGui::GetCursorScreenPos();
  if (ImGui::InvisibleButton("image", {side, side})) choose(ui, item);
  if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", run.title(item.image).c_str());
  if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left))
    ImGui::SetWindowFocus(kCanvas);
  if (ImGui::IsItemVisible()) {
    const auto& pixels = run.images[static_cast<size_t>(item.image)].pixels;
    const auto name = "thumbnail " + std::to_string(run.id) + " " + std::to_string(item.image);
    show(ui.textures.of(name, 1, [&] { return studio::image_rgba(pixels); }), from, side);
  }
  menu(ui, item);
  ImGui::PopID();
  ImGui::PopID();
}

// A button at the right end of the line. Needs `after` as much room to its right.
bool right_button(const char* text, float after = 0) {
  ImGui::SameLine(ImGui::GetContentRegionMax().x - ImGui::CalcTextSize(text).x -
                  2 * ImGui::GetStyle().FramePadding.x - after);
  return ImGui::Button(text);
}

void drawn(Ui& ui) {
  const auto items = drawn_items(ui);
  if (items.empty()) return nothing_here(ui, "Every image that is drawn appears here.");
  const auto& selection = ui.studio.selection;
  const auto selected = std::ranges::find_if(items, [&](const Item& item) {
    return item.run->id == selection.run && item.image == selection.image;
  });
  auto chosen = selected == items.end() ? int64_t{-1} : selected - items.begin();
  ImGui::AlignTextToFramePadding();
  ImGui::TextDisabled("%zu image%s", items.size(), items.size() == 1 ? "" : "s");
  ImGui::SameLine();
  ImGui::BeginDisabled(chosen < 0);
  if (ImGui::Button("Use these settings")) {
    ui.later.push_back(
        [&ui, run = selection.run, image = selection.image] { ui.studio.use_settings_of(run, image); });
  }
  ImGui::EndDisabled();
  tip("Class, seed, settings and edits of the chosen image, into Generate and Surgery");
  if (right_button("Save all")) {
    ui.saving =
        SaveDialog{"Save all images into the folder", ".", [&ui](const std::filesystem::path& folder) {
                     for (const auto& run : ui.studio.runs()) ui.studio.save(run.id, folder);
                   }};
  }
  tip("Every finished image, as PNGs that hold what made them");
  const auto count = static_cast<int64_t>(items.size());
  const auto square = [&](int64_t i, float side) { thumbnail(ui, items[static_cast<size_t>(i)], side); };
  if (grid(ui, count, chosen, square)) choose(ui, items[static_cast<size_t>(chosen)]);
}

void use_file(Ui& ui, const std::filesystem::path& file) {
  ui.later.push_back([&ui, file] { ui.studio.drop(file); });
}

void file_thumbnail(Ui& ui, size_t file, float side) {
  const auto& path = ui.folder->files()[file];
  ImGui::PushID(static_cast<int>(file));
  const auto from = ImGui::GetCursorScreenPos();
  if (ImGui::InvisibleButton("file", {side, side})) ui.folder_file = static_cast<int64_t>(file);
  const bool visible = ImGui::IsItemVisible();
  if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) use_file(ui, path);
  if (visible) {
    const auto& picture = ui.folder->of(file);
    if (picture.rgba.defined()) {
      const auto name = ui.folder->folder().string() + " " + std::to_string(file);
      show(ui.textures.of(name, ui.folder_version, [&] { return picture.rgba; }), from, side);
    } else {
      auto* list = ImGui::GetWindowDrawList();
      list->AddRect(from, {from.x + side, from.y + side}, ui.theme.grid);
      if (!picture.problem.empty())
        list->AddText({from.x + ui.theme.px(6), from.y + ui.theme.px(4)}, ui.theme.error, "no picture");
    }
    const auto name = path.filename().string();
    tip((picture.problem.empty() ? name : name + ": " + picture.problem).c_str());
  }
  if (ImGui::BeginPopupContextItem("of file")) {
    if (ImGui::MenuItem("Use these settings")) use_file(ui, path);
    ImGui::EndPopup();
  }
  ImGui::PopID();
}

void folder(Ui& ui) {
  ImGui::SetNextItemWidth(std::max(ui.theme.px(80), ImGui::GetContentRegionAvail().x - ui.theme.px(160)));
  const bool enter = ImGui::InputTextWithHint("##folder", "path of a folder", &ui.folder_path,
                                              ImGuiInputTextFlags_EnterReturnsTrue);
  if (enter && !ui.folder_path.empty()) {
    ui.folder.reset();  // one thread at a time
    ui.folder = std::make_unique<studio::Thumbnails>(ui.folder_path, ui.wake);
    ui.folder_file = -1, ++ui.folder_version;
  }
  tip("Enter shows the PNGs of this folder");
  const bool chosen = ui.folder && ui.folder_file >= 0;
  ImGui::BeginDisabled(!chosen);
  const bool use = right_button("Use these settings");
  ImGui::EndDisabled();
  tip("Shows what would change, then takes class, seed, settings and edits from the chosen file (Enter)");
  if (!ui.folder) return nothing_here(ui, "Type the path of a folder of images.");
  ui.folder->poll();
  const auto& files = ui.folder->files();
  if (ui.folder->listing()) return nothing_here(ui, "Looking into the folder...");
  if (files.empty())
    return nothing_here(ui, ui.folder->problem().empty() ? "No PNGs in this folder." : ui.folder->problem());
  const bool key = ui.gallery_focused && !ImGui::GetIO().WantTextInput && ImGui::GetIO().KeyMods == 0 &&
                   ImGui::IsKeyPressed(ImGuiKey_Enter);
  if (chosen && (use || key)) use_file(ui, files[static_cast<size_t>(ui.folder_file)]);
  grid(ui, static_cast<int64_t>(files.size()), ui.folder_file,
       [&](int64_t i, float side) { file_thumbnail(ui, static_cast<size_t>(i), side); });
}

}  // namespace

void gallery_panel(Ui& ui) {
  ui.gallery_focused = ImGui::IsWindowFocused(ImGuiFocusedFlags_ChildWindows);
  int source = ui.gallery_of_folder;
  choice(ui, "source", source, {"Drawn", "Folder"}, {"Drawn since the app was opened", "PNGs of a folder"});
  ui.gallery_of_folder = source == 1;
  ImGui::SameLine();
  ui.gallery_of_folder ? folder(ui) : drawn(ui);
}

}  // namespace switchyard::gui

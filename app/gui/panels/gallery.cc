// Gallery: everything drawn in this run of the program.
#include <imgui.h>

#include <algorithm>

#include "app/gui/studio/colors.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

struct Item {
  const studio::Run* run;
  int64_t image;
};

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

void thumbnail(Ui& ui, const Item& item, float side) {
  const auto& run = *item.run;
  const auto& selection = ui.studio.selection;
  ImGui::PushID(static_cast<int>(run.id));
  ImGui::PushID(static_cast<int>(item.image));
  const auto from = ImGui::GetCursorScreenPos();
  if (ImGui::InvisibleButton("image", {side, side})) {
    ui.later.push_back([&ui, id = run.id, image = item.image] {
      ui.studio.select(id);
      ui.studio.selection.image = image;
    });
  }
  if (ImGui::IsItemHovered()) ImGui::SetTooltip("%s", run.title(item.image).c_str());
  if (ImGui::IsItemHovered() && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left))
    ImGui::SetWindowFocus(kCanvas);
  const ImVec2 to{from.x + side, from.y + side};
  if (ImGui::IsItemVisible()) {
    const auto& pixels = run.images[static_cast<size_t>(item.image)].pixels;
    const auto name = "thumbnail " + std::to_string(run.id) + " " + std::to_string(item.image);
    const auto texture = ui.textures.of(name, 1, [&] { return studio::image_rgba(pixels); });
    if (texture.width <= static_cast<int>(side)) {
      add_pixels(ImGui::GetWindowDrawList(), texture, from, to);
    } else {
      add_smooth(ImGui::GetWindowDrawList(), texture, from, to);
    }
  }
  const bool selected = selection.run == run.id && selection.image == item.image;
  if (selected) ImGui::GetWindowDrawList()->AddRect(from, to, ui.theme.accent, 0, 0, ui.theme.px(3));
  menu(ui, item);
  ImGui::PopID();
  ImGui::PopID();
}

}  // namespace

void gallery_panel(Ui& ui) {
  std::vector<Item> items;
  for (const auto& run : ui.studio.runs()) {
    for (int64_t i = 0; i < static_cast<int64_t>(run.images.size()); ++i) {
      if (run.finished(i)) items.push_back({&run, i});
    }
  }
  if (items.empty()) return nothing_here(ui, "Every image that is drawn appears here.");
  ImGui::AlignTextToFramePadding();
  ImGui::TextDisabled("%zu image%s; right click for more", items.size(), items.size() == 1 ? "" : "s");
  const char* text = "Save all";
  ImGui::SameLine(ImGui::GetContentRegionMax().x - ImGui::CalcTextSize(text).x -
                  2 * ImGui::GetStyle().FramePadding.x);
  if (ImGui::Button(text)) {
    ui.saving =
        SaveDialog{"Save all images into the folder", ".", [&ui](const std::filesystem::path& folder) {
                     for (const auto& run : ui.studio.runs()) ui.studio.save(run.id, folder);
                   }};
  }
  tip("Every finished image, as PNGs that hold what made them");
  ImGui::BeginChild("images");
  const float gap = ui.theme.px(4), space = ImGui::GetContentRegionAvail().x;
  const auto columns = std::max<int64_t>(1, static_cast<int64_t>((space + gap) / (ui.theme.px(128) + gap)));
  const float side =
      std::min(std::floor((space - gap * static_cast<float>(columns - 1)) / static_cast<float>(columns)),
               ui.theme.px(180));
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(gap, gap));
  ImGuiListClipper clipper;  // what is out of sight costs nothing
  const auto rows = (static_cast<int64_t>(items.size()) + columns - 1) / columns;
  clipper.Begin(static_cast<int>(rows), side + gap);
  while (clipper.Step()) {
    for (int64_t row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      for (int64_t c = 0; c < columns && row * columns + c < static_cast<int64_t>(items.size()); ++c) {
        if (c > 0) ImGui::SameLine();
        thumbnail(ui, items[items.size() - 1 - static_cast<size_t>(row * columns + c)], side);
      }
    }
  }
  ImGui::PopStyleVar();
  ImGui::EndChild();
}

}  // namespace switchyard::gui

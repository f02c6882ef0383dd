// Patches of an expert: what does it draw? Those that chose it most strongly, over everything drawn so far.
#include <ATen/ATen.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "app/gui/studio/colors.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

constexpr size_t kMost = 120;

void go_to(Ui& ui, const studio::AlbumPatch& one) {
  ui.later.push_back([&ui, one] {
    ui.studio.select(one.run);
    ui.studio.selection.image = one.patch.image;
    ui.studio.selection.patch = one.patch.patch;
    go_to_step(ui, one.patch.step);
  });
}

void picture(Ui& ui, const studio::AlbumPatch& one, float side) {
  const auto& run = *ui.studio.run(one.run);
  const auto from = ImGui::GetCursorScreenPos();
  const auto& [image, step, patch, weight] = one.patch;
  ImGui::PushID(static_cast<int>(one.run));
  ImGui::PushID(static_cast<int>(image));
  ImGui::PushID(static_cast<int>(patch));
  if (ImGui::InvisibleButton("patch", {side, side})) go_to(ui, one);
  const bool hovered = ImGui::IsItemHovered(), visible = ImGui::IsItemVisible();
  ImGui::PopID(), ImGui::PopID(), ImGui::PopID();
  if (!visible) return;
  const auto whole =
      ui.patches_predicted ? run.preview_at(image, step) : run.images[static_cast<size_t>(image)].pixels;
  const ImVec2 to{from.x + side, from.y + side};
  auto* list = ImGui::GetWindowDrawList();
  if (whole.defined()) {
    const auto tokens = static_cast<double>(run.config.tokens());
    const auto crop =
        studio::crop_of(whole, patch, std::lround(std::sqrt(tokens)), ui.patches_around ? 1 : 0);
    const auto name = "patch " + std::to_string(one.run) + " " + std::to_string(image) + " " +
                      std::to_string(ui.patches_predicted ? step : -1) + " " + std::to_string(patch) +
                      (ui.patches_around ? " around" : "");
    const auto texture =
        ui.textures.of(name, 1, [&] { return studio::image_rgba(crop.pixels.contiguous()); });
    add_pixels(list, texture, from, to);
    if (ui.patches_around) {
      const float zoom = side / static_cast<float>(crop.pixels.size(1));
      const ImVec2 a{from.x + static_cast<float>(crop.x) * zoom, from.y + static_cast<float>(crop.y) * zoom};
      const ImVec2 b{a.x + static_cast<float>(crop.patch_size) * zoom,
                     a.y + static_cast<float>(crop.patch_size) * zoom};
      list->AddRect(a, b, IM_COL32(0, 0, 0, 160), 0, 0, ui.theme.px(2.5f));
      list->AddRect(a, b, IM_COL32(255, 255, 255, 220), 0, 0, ui.theme.px(1));
    }
  } else {
    list->AddRectFilled(from, to, ui.theme.grid);
  }
  list->AddText({from.x, to.y + 1}, ui.theme.quiet, number(weight).c_str());
  if (!hovered) return;
  list->AddRect(from, to, ui.theme.accent, 0, 0, ui.theme.px(2));
  ImGui::SetTooltip("%s\npatch %lld, gate weight %s at step %lld\nclick: go there", run.title(image).c_str(),
                    static_cast<long long>(patch), number(weight).c_str(), static_cast<long long>(step));
}

}  // namespace

void patches_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& selection = ui.studio.selection;
  const auto router = pipeline::Router::tokens;
  const auto* record = ui.run->record(router);
  if (!record) return nothing_here(ui, "This model routes no patches: its experts take timesteps.");
  const float half = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  layer_slider(ui, half);
  ImGui::SameLine();
  half_combo(ui, -FLT_MIN);
  int shows = ui.patches_predicted;
  if (combo("##shows", shows, {"finished image", "as predicted then"}, half,
            "What is cut out: the image at its end, or the clean image that was predicted at the step of the "
            "choice"))
    ui.patches_predicted = shows;
  ImGui::SameLine();
  ImGui::Checkbox("surroundings", &ui.patches_around);
  tip("Shows the patches around it too, and the patch as an outline");
  expert_legend(ui, record->num_experts());
  if (!selection.expert)
    return nothing_here(ui,
                        "Choose an expert above, and the patches that chose it most strongly appear here.");
  if (selection.half == pipeline::Half::difference)
    return nothing_here(ui, "Patches are chosen in one half of guidance: pick it above.");
  const auto found = ui.album.of(ui.studio.runs(),
                                 {.model = ui.run->model,
                                  .router = router,
                                  .half = selection.half,
                                  .layer = selection.layer,
                                  .expert = *selection.expert},
                                 kMost);
  if (found.empty()) return nothing_here(ui, "No patch of a finished image chose this expert in this layer.");
  ImGui::PushStyleColor(ImGuiCol_Text, ui.theme.quiet);
  ImGui::TextWrapped(
      "expert %lld in layer %lld: the strongest %zu patches of everything drawn; below each its gate weight",
      static_cast<long long>(*selection.expert), static_cast<long long>(selection.layer), found.size());
  ImGui::PopStyleColor();
  if (!ImGui::BeginChild("patches")) return ImGui::EndChild();
  const float side = ui.theme.px(72), gap = ui.theme.px(6), line = ImGui::GetTextLineHeight();
  const int columns = std::max(1, static_cast<int>((ImGui::GetContentRegionAvail().x + gap) / (side + gap)));
  const auto start = ImGui::GetCursorPos();
  for (size_t i = 0; i < found.size(); ++i) {
    const auto row = static_cast<int>(i) / columns, column = static_cast<int>(i) % columns;
    ImGui::SetCursorPos({start.x + static_cast<float>(column) * (side + gap),
                         start.y + static_cast<float>(row) * (side + gap + line)});
    picture(ui, found[i], side);
  }
  ImGui::Dummy({1, line});
  ImGui::EndChild();
}

}  // namespace switchyard::gui

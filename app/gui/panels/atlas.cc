// Atlas: layers x experts, how even each layer is, and who hardly works.
#include <ATen/ATen.h>
#include <imgui.h>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

AtlasView atlas_view(const Ui& ui) {
  const auto& selection = ui.studio.selection;
  const auto span = selection.span();
  const auto atlas = pipeline::atlas(*ui.record, span, selection.measure);
  return {.loads = matrix_view(pipeline::normalised(atlas.loads, selection.normalisation),
                               selection.half == pipeline::Half::difference),
          .entropy = atlas.entropy,
          .imbalance = atlas.imbalance,
          .dormant = selection.half == pipeline::Half::difference
                         ? std::vector<pipeline::Dormant>{}
                         : pipeline::dormant_experts(*ui.record, span)};
}

void dormant(Ui& ui, const AtlasView& view) {
  std::string text;
  for (const auto& one : view.dormant) {
    text += (text.empty() ? "" : ", ") + std::to_string(one.layer) + "/" + std::to_string(one.expert);
  }
  text = text.empty() ? "No expert is dormant: each has a tenth of an even share or more."
                      : "Dormant (layer/expert, below a tenth of an even share): " + text;
  ImGui::PushStyleColor(ImGuiCol_Text, ui.theme.quiet);
  ImGui::TextWrapped("%s", text.c_str());
  ImGui::PopStyleColor();
}

}  // namespace

void atlas_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& selection = ui.studio.selection;
  const float third = (ImGui::GetContentRegionAvail().x - 2 * ImGui::GetStyle().ItemSpacing.x) / 3;
  int range = selection.whole_range;
  if (combo("##range", range, {"this step", "all steps"}, third, "One step, or the mean over all of them"))
    selection.whole_range = range;
  ImGui::SameLine();
  measure_combo(ui, third);
  ImGui::SameLine();
  half_combo(ui, -FLT_MIN);
  normalisation_combo(ui, third);
  const auto* view = ui.atlas.of(ui.key(), [&] { return atlas_view(ui); });
  if (!view) return nothing_here(ui, ui.atlas.error());
  ImGui::SameLine();
  export_button(ui, "export atlas", "atlas", view->loads, "layer", "expert");

  legend(ui, view->loads,
         (std::string(name_of(selection.measure)) +
          (selection.whole_range ? ", all steps" : ", step " + std::to_string(selection.step)))
             .c_str());
  auto size = ImGui::GetContentRegionAvail();
  size.y -= 2.4f * ImGui::GetTextLineHeight();  // for who is dormant
  const auto cell = matrix(ui, "atlas", view->loads, ui.atlas.version(), size,
                           {.rows = "layer",
                            .columns = "expert",
                            .row = selection.layer,
                            .column = selection.expert,
                            .experts_in_columns = true,
                            .beside = {{"entropy", view->entropy}, {"imbalance", view->imbalance}}});
  dormant(ui, *view);
  if (!cell) return;
  ImGui::SetTooltip(
      "layer %lld, expert %lld: %s\nclick: its patch map; Ctrl+click: mute it and draw again beside this run",
      static_cast<long long>(cell->row), static_cast<long long>(cell->column),
      number(view->loads.values[cell->row][cell->column].item<float>()).c_str());
  if (!cell->clicked) return;
  if (ImGui::GetIO().KeyCtrl) {
    ui.later.push_back([&ui, at = *cell] { ui.studio.mute(at.row, at.column); });
  } else {
    selection.layer = cell->row, selection.expert = cell->column;
    ui.patch_shows = PatchShows::expert;
  }
}

}  // namespace switchyard::gui

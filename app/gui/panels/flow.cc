// Flow: how tokens move between experts, from one layer to the next or from one step to the next.
#include <ATen/ATen.h>
#include <imgui.h>

#include <algorithm>

#include "app/gui/widgets.h"

namespace switchyard::gui {

void flow_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& selection = ui.studio.selection;
  const bool by_step = ui.flow_to_step == 1;
  if ((by_step ? ui.record->steps() : ui.record->layers()) < 2) {
    return nothing_here(ui, by_step ? "There is one step alone." : "There is one layer alone.");
  }
  const float third = (ImGui::GetContentRegionAvail().x - 2 * ImGui::GetStyle().ItemSpacing.x) / 3;
  combo("##to", ui.flow_to_step, {"to next layer", "to next step"}, third,
        "Where tokens are looked for again");
  ImGui::SameLine();
  layer_slider(ui, third);
  ImGui::SameLine();
  half_combo(ui, -FLT_MIN);
  int range = selection.whole_range;
  ImGui::BeginDisabled(by_step);
  if (combo("##range", range, {"this step", "all steps"}, third, "One step, or all of them"))
    selection.whole_range = range;
  ImGui::EndDisabled();
  ImGui::SameLine();
  normalisation_combo(ui, third);
  // The last layer and the last step lead nowhere: the pair before is shown.
  const auto layer = by_step ? selection.layer : std::min(selection.layer, ui.record->layers() - 2);
  const auto step = std::min(selection.step, ui.record->steps() - 2);
  const auto* view = ui.flow.of(ui.key(ui.flow_to_step), [&] {
    const auto flow = by_step ? pipeline::flow_to_next_step(*ui.record, selection.span(), step, layer)
                              : pipeline::flow_to_next_layer(*ui.record, selection.span(), layer);
    return matrix_view(pipeline::normalised(flow, selection.normalisation),
                       selection.half == pipeline::Half::difference);
  });
  if (!view) return nothing_here(ui, ui.flow.error());
  ImGui::SameLine();
  export_button(ui, "export flow", "flow", *view, "from expert", "to expert");
  legend(ui, *view, "share of all pairs of choices");
  const auto from = by_step ? "step " + std::to_string(step) : "layer " + std::to_string(layer);
  const auto to = by_step ? "step " + std::to_string(step + 1) : "layer " + std::to_string(layer + 1);
  const auto rows = "from expert, " + from, columns = "to expert, " + to;
  const auto cell = matrix(ui, "flow", *view, ui.flow.version(), ImGui::GetContentRegionAvail(),
                           {.rows = rows.c_str(),
                            .columns = columns.c_str(),
                            .experts_in_rows = true,
                            .experts_in_columns = true});
  if (cell) {
    ImGui::SetTooltip("expert %lld (%s) to expert %lld (%s): %s", static_cast<long long>(cell->row),
                      from.c_str(), static_cast<long long>(cell->column), to.c_str(),
                      number(view->values[cell->row][cell->column].item<float>()).c_str());
  }
}

}  // namespace switchyard::gui

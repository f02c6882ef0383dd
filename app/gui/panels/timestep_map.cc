// Timestep map: experts x steps of a layer; of models that route timesteps, the gate over all of them too.
#include <ATen/ATen.h>
#include <imgui.h>

#include "app/gui/widgets.h"

namespace switchyard::gui {

void timestep_map_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& selection = ui.studio.selection;
  if (ui.run->gate) {
    choice(ui, "gate", ui.gate_shows, {"This run", "Gate", "Gate, all blocks"},
           {"Who worked at the steps of this run",
            "What the gate of the block thinks at every timestep, and the prior's windows",
            "The same of every block, one below the other"});
    if (ui.gate_shows > 0) {
      layer_slider(ui, ImGui::GetContentRegionAvail().x * 0.6f);
      return gate_map(ui, ui.gate_shows == 2);
    }
  }
  const float third = (ImGui::GetContentRegionAvail().x - 2 * ImGui::GetStyle().ItemSpacing.x) / 3;
  layer_slider(ui, third);
  ImGui::SameLine();
  measure_combo(ui, third);
  ImGui::SameLine();
  half_combo(ui, -FLT_MIN);
  normalisation_combo(ui, third);
  auto key = ui.key();
  key.selection.step = 0;  // the line moves, the numbers stay
  const auto* view = ui.timesteps.of(key, [&] {
    pipeline::Span span{.half = selection.half};
    const auto map = pipeline::timestep_map(*ui.record, span, selection.layer, selection.measure).t();
    return matrix_view(pipeline::normalised(map.contiguous(), selection.normalisation),
                       selection.half == pipeline::Half::difference);
  });
  if (!view) return nothing_here(ui, ui.timesteps.error());
  ImGui::SameLine();
  export_button(ui, "export timesteps", "timestep-map", *view, "expert", "step");
  const auto what = std::string(name_of(selection.measure)) + ", layer " + std::to_string(selection.layer) +
                    (ui.record->images() > 1 ? ", all images" : "");
  legend(ui, *view, what.c_str());
  const auto cell = matrix(ui, "timestep map", *view, ui.timesteps.version(), ImGui::GetContentRegionAvail(),
                           {.rows = "expert",
                            .columns = "step, from noise to image",
                            .column = selection.step,
                            .experts_in_rows = true});
  if (!cell) return;
  ImGui::SetTooltip("expert %lld, step %lld (t %.2f): %s\nclick: go there", static_cast<long long>(cell->row),
                    static_cast<long long>(cell->column), ui.run->times[static_cast<size_t>(cell->column)],
                    number(view->values[cell->row][cell->column].item<float>()).c_str());
  if (cell->clicked) go_to_step(ui, cell->column);
}

}  // namespace switchyard::gui

// Content or place: which experts follow what is in a patch, and which where it lies.
#include <ATen/ATen.h>
#include <imgui.h>

#include "app/gui/studio/colors.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {

void content_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& studio = ui.studio;
  auto& selection = studio.selection;
  if (!ui.run->config.routes_tokens())
    return nothing_here(ui, "This model routes no patches: its experts take timesteps.");
  const float half = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  combo("##moved", ui.content_shows, {"shifted", "mirrored"}, half,
        "How the noisy image is moved: by whole patches, or left for right");
  ImGui::SameLine();
  step_slider(ui);
  const studio::MomentOf moment{selection.image, selection.step};
  const auto* study = ui.run->studies.content(moment);
  if (study && study->id >= 0) {
    if (ImGui::Button("Cancel")) studio.cancel_studies(ui.run->id);
    ImGui::SameLine();
    ImGui::TextDisabled("measuring");
    return;
  }
  if (!study || !study->answer) {
    const auto why = studio.why_not_study(ui.run->id);
    ImGui::BeginDisabled(!why.empty());
    if (ImGui::Button("Measure"))
      ui.later.push_back([&studio, id = ui.run->id, moment] { studio.ask_content_or_place(id, moment); });
    ImGui::EndDisabled();
    tip(why.empty() ? "Moves the image, noised to this step, and asks the routers again" : why.c_str());
    return nothing_here(
        ui, study && !study->message.empty()
                ? study->message
                : "The noisy image is moved as a whole: do the experts go with the content, or stay "
                  "at their places?");
  }
  auto key = ui.key(static_cast<int>(ui.run->studies.version) * 2 + ui.content_shows);
  const auto* view = ui.content.of(key, [&] {
    const auto& values = ui.content_shows ? study->answer->mirrored : study->answer->shifted;
    return MatrixView{.values = values, .rgba = studio::sequential_rgba(values, 0, 1), .low = 0, .high = 1};
  });
  if (!view) return nothing_here(ui, ui.content.error());
  export_button(ui, "export content", "content-or-place", *view, "layer", "expert");
  legend(ui, *view, "0: stays at its place, 1: goes with the content");
  const auto cell = matrix(ui, "content", *view, ui.content.version(), ImGui::GetContentRegionAvail(),
                           {.rows = "layer",
                            .columns = "expert",
                            .row = selection.layer,
                            .column = selection.expert,
                            .experts_in_columns = true,
                            .beside = {{"mean", view->values.nanmean(1)}}});
  if (!cell) return;
  ImGui::SetTooltip(
      "layer %lld, expert %lld: %s of the patches in which content and place foresee different choices\n"
      "went with the content\nclick: its patch map",
      static_cast<long long>(cell->row), static_cast<long long>(cell->column),
      number(view->values[cell->row][cell->column].item<float>()).c_str());
  if (!cell->clicked) return;
  selection.layer = cell->row, selection.expert = cell->column;
  ui.patch_shows = PatchShows::expert;
}

}  // namespace switchyard::gui

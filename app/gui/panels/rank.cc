// Rank the experts: what each is worth to the images of a run, by drawing them again without it.
#include <ATen/ATen.h>
#include <imgui.h>

#include <algorithm>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using pipeline::MutingEffect;

const char* kMeasures[] = {"mean difference of pixels (0 to 255)", "share of choices that change"};

// The button, and how far it is.
void controls(Ui& ui, int64_t layer) {
  auto& studio = ui.studio;
  const auto& run = *ui.run;
  const auto router = studio.selection.router;
  const auto ranked = run.studies.ranked(router, layer);
  const auto why = studio.why_not_study(run.id);
  if (run.studies.ranking) {
    if (ImGui::Button("Stop")) studio.stop_ranking(run.id);
    tip("What is measured stays; Go on takes it up again");
  } else {
    const bool some = ranked.all > 0 && ranked.measured<ranked.all, all = ranked.all> 0 && !some;
    ImGui::BeginDisabled(!why.empty() || all);
    if (ImGui::Button(some ? "Go on" : "Rank"))
      ui.later.push_back([&studio, id = run.id, router, layer] { studio.rank(id, router, layer); });
    ImGui::EndDisabled();
    tip(!why.empty() ? why.c_str()
        : all        ? "Every expert here is measured"
              : "Draws the images of this run again, on their own seeds, with each expert muted in turn; in "
                "the "
                "background, between what else is drawn");
  }
  ImGui::SameLine();
  char text[96];
  std::snprintf(text, sizeof text, "%lld of %lld measured", static_cast<long long>(ranked.measured),
                static_cast<long long>(ranked.all));
  std::string words = ranked.all == 0 ? "not measured yet" : text;
  if (ranked.failed > 0) words += ", " + std::to_string(ranked.failed) + " cannot be muted";
  if (run.studies.ranking && ranked.seconds_left > 0)
    words += ", " + seconds_text(ranked.seconds_left) + " left";
  ImGui::ProgressBar(static_cast<float>(ranked.progress), {-FLT_MIN, 0}, words.c_str());
}

void select(Ui& ui, int64_t layer, int64_t expert) {
  if (ImGui::GetIO().KeyCtrl) {
    ui.later.push_back([&ui, layer, expert] { ui.studio.mute(layer, expert); });
    return;
  }
  ui.studio.selection.layer = layer, ui.studio.selection.expert = expert;
  ui.patch_shows = PatchShows::expert;
}

void table(Ui& ui, int64_t layer) {
  const auto& selection = ui.studio.selection;
  const auto sorted = ui.run->studies.by_effect(selection.router, layer);
  constexpr auto flags = ImGuiTableFlags_RowBg | ImGuiTableFlags_BordersInnerH | ImGuiTableFlags_ScrollY |
                         ImGuiTableFlags_SizingStretchProp;
  if (!ImGui::BeginTable("ranking", 5, flags, ImGui::GetContentRegionAvail())) return;
  ImGui::TableSetupScrollFreeze(0, 1);
  for (const char* title : {"rank", "layer", "expert", "pixels", "choices"})
    ImGui::TableSetupColumn(title, 0, title[0] == 'p' ? 3 : 1);
  ImGui::TableHeadersRow();
  const double most = sorted.empty() ? 1 : std::max(1e-9, sorted.front()->answer->pixels);
  ImGuiListClipper clipper;
  clipper.Begin(static_cast<int>(sorted.size()));
  while (clipper.Step()) {
    for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      const auto& study = *sorted[static_cast<size_t>(row)];
      const auto& [router, at_layer, expert] = study.asked;
      ImGui::TableNextRow();
      ImGui::TableNextColumn();
      const bool here = selection.layer == at_layer && selection.expert == expert;
      if (ImGui::Selectable((std::to_string(row + 1) + "##row").c_str(), here,
                            ImGuiSelectableFlags_SpanAllColumns))
        select(ui, at_layer, expert);
      tip("Click: its patch map. Ctrl+click: mute it and draw again beside this run");
      ImGui::TableNextColumn();
      ImGui::Text("%lld", static_cast<long long>(at_layer));
      ImGui::TableNextColumn();
      ImGui::Text("%lld", static_cast<long long>(expert));
      ImGui::TableNextColumn();
      // The bar right of the number.
      const float words = ImGui::CalcTextSize("0.0000").x, line = ImGui::GetTextLineHeight();
      const auto at = ImGui::GetCursorScreenPos();
      const float width = std::max(0.0f, ImGui::GetContentRegionAvail().x - words);
      ImGui::GetWindowDrawList()->AddRectFilled(
          {at.x + words, at.y + line * 0.25f},
          {at.x + words + width * static_cast<float>(study.answer->pixels / most), at.y + line * 0.8f},
          expert_color(expert, ui.record->num_experts()));
      ImGui::TextUnformatted(number(study.answer->pixels).c_str());
      ImGui::TableNextColumn();
      ImGui::Text("%.1f %%", study.answer->choices * 100);
    }
  }
  ImGui::EndTable();
}

}  // namespace

void rank_panel(Ui& ui) {
  if (no_routing(ui)) return;
  const auto& selection = ui.studio.selection;
  const float third = (ImGui::GetContentRegionAvail().x - 2 * ImGui::GetStyle().ItemSpacing.x) / 3;
  router_choice(ui);
  combo("##scope", ui.rank_layer, {"all layers", "this layer"}, third,
        "Which experts are muted, one after the other");
  ImGui::SameLine();
  layer_slider(ui, third);
  ImGui::SameLine();
  combo("##by", ui.rank_by, {"pixels", "choices"}, -FLT_MIN,
        "What the colours say: how far the pixels move, or how many choices change");
  const int64_t layer = ui.rank_layer ? selection.layer : -1;
  controls(ui, layer);
  const auto measured = ui.run->studies.by_effect(selection.router, -1).size();
  if (measured == 0) {
    const auto count = ui.record->num_experts() * (layer < 0 ? ui.record->layers() : 1);
    return nothing_here(
        ui,
        "Each expert is muted in turn, and the run drawn again on the same seeds: the more its images "
        "change, the more they need that expert.\n\n" +
            std::to_string(count) + " drawings, about " +
            seconds_text(static_cast<double>(count) * ui.run->seconds) + ".");
  }

  auto key = ui.key(static_cast<int>(ui.run->studies.version) * 2 + ui.rank_by);
  const auto* view = ui.rank.of(key, [&] {
    return matrix_view(
        ui.run->studies.effects(selection.router, ui.record->layers(), ui.record->num_experts(),
                                ui.rank_by ? &MutingEffect::choices : &MutingEffect::pixels),
        false);
  });
  if (!view) return nothing_here(ui, ui.rank.error());
  export_button(ui, "export ranking", "ranking", *view, "layer", "expert");
  legend(ui, *view, kMeasures[ui.rank_by]);
  auto size = ImGui::GetContentRegionAvail();
  size.y *= 0.55f;
  const auto cell = matrix(ui, "effects", *view, ui.rank.version(), size,
                           {.rows = "layer",
                            .columns = "expert",
                            .row = selection.layer,
                            .column = selection.expert,
                            .experts_in_columns = true});
  if (cell) {
    ImGui::SetTooltip("layer %lld, expert %lld: %s\nclick: its patch map; Ctrl+click: mute it and draw again",
                      static_cast<long long>(cell->row), static_cast<long long>(cell->column),
                      number(view->values[cell->row][cell->column].item<float>()).c_str());
    if (cell->clicked) select(ui, cell->row, cell->column);
  }
  table(ui, layer);
}

}  // namespace switchyard::gui

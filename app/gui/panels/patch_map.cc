// Patch map: who took which patch, over the image, in one layer at one step.
#include <ATen/ATen.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "app/gui/studio/colors.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using pipeline::Half;
using pipeline::Measure;

PatchView patch_view(const Ui& ui) {
  const auto& record = *ui.record;
  const auto& selection = ui.studio.selection;
  const auto place = selection.place();
  const bool difference = selection.half == Half::difference;
  PatchView view;
  at::Tensor map;
  if (ui.patch_shows == PatchShows::margin) {
    map = pipeline::margins(record, place);
  } else if (ui.patch_shows == PatchShows::changed) {
    auto there = place;
    there.step = std::min(there.step, ui.other_record->steps() - 1);
    there.image = std::min(there.image, ui.other_record->images() - 1);
    map = pipeline::changed_choices(record, place, *ui.other_record, there);
  } else if (selection.expert) {
    map = pipeline::patch_map(record, place, *selection.expert, selection.measure);
  } else {
    view.experts = pipeline::winner_map(record, place);
  }
  const auto tokens = map.defined() ? map.numel() : view.experts.numel();
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(tokens)) + 0.5);
  if (map.defined()) {
    const bool signed_map =
        difference || (ui.patch_shows == PatchShows::margin && map.nan_to_num(0).min().item<float>() < 0);
    view.map = matrix_view(map.reshape({side, side}), signed_map);
    if (ui.patch_shows == PatchShows::expert && !difference && selection.measure == Measure::tokens)
      view.map.low = 0, view.map.high = 1;
  } else {
    view.map.values = view.experts.to(at::kFloat).reshape({side, side});
    view.map.rgba = studio::category_rgba(view.experts.reshape({side, side}), record.num_experts());
  }
  view.weights = pipeline::token_table(record, place, Measure::weight);
  try {
    view.table = pipeline::token_table(record, place, Measure::probability);
  } catch (const std::invalid_argument&) {  // not kept: the chosen experts alone are known
  }
  return view;
}

// What there is to know of a patch: a bar per expert, the chosen ones in their colours.
void patch_tooltip(Ui& ui, const PatchView& view, int64_t patch, int64_t side) {
  ImGui::BeginTooltip();
  ImGui::Text("patch %lld: row %lld, column %lld", static_cast<long long>(patch),
              static_cast<long long>(patch / side), static_cast<long long>(patch % side));
  const auto weights = view.weights[patch];
  const auto values = view.table.defined() ? view.table[patch] : weights;
  const auto experts = values.numel();
  ImGui::TextDisabled("%s",
                      view.table.defined() ? "probability, and gate weight of the chosen" : "gate weight");
  const float line = ImGui::GetTextLineHeight(), width = ui.theme.px(150);
  for (int64_t e = 0; e < experts; ++e) {
    const auto value = values[e].item<float>(), weight = weights[e].item<float>();
    if (std::isnan(value)) continue;
    const bool chosen = weight > 0;
    const auto at = ImGui::GetCursorScreenPos();
    auto* list = ImGui::GetWindowDrawList();
    const float x = at.x + ui.theme.px(24);
    list->AddText(at, ImGui::GetColorU32(chosen ? ImGuiCol_Text : ImGuiCol_TextDisabled),
                  std::to_string(e).c_str());
    list->AddRectFilled({x, at.y + 3}, {x + width, at.y + line - 2}, ui.theme.grid, 2);
    list->AddRectFilled({x, at.y + 3}, {x + width * std::clamp(std::abs(value), 0.0f, 1.0f), at.y + line - 2},
                        chosen ? expert_color(e, experts) : ui.theme.quiet, 2);
    const auto text = number(value) + (chosen && view.table.defined() ? "  (" + number(weight) + ")" : "");
    list->AddText({x + width + ui.theme.px(6), at.y},
                  ImGui::GetColorU32(chosen ? ImGuiCol_Text : ImGuiCol_TextDisabled), text.c_str());
    ImGui::Dummy({ui.theme.px(290), line});
  }
  ImGui::TextDisabled("click: %s", ui.studio.selection.patch == patch ? "let go" : "pin, and follow it");
  ImGui::EndTooltip();
}

void what_is_shown(Ui& ui) {
  auto& selection = ui.studio.selection;
  const auto experts = ui.record->num_experts();
  const auto name = ui.patch_shows == PatchShows::margin    ? std::string("margin")
                    : ui.patch_shows == PatchShows::changed ? std::string("changed against B")
                    : selection.expert                      ? "expert " + std::to_string(*selection.expert)
                                                            : std::string("winner");
  if (ImGui::BeginCombo("##shows", name.c_str())) {
    const auto item = [&](const char* text, PatchShows shows, std::optional<int64_t> expert,
                          const char* help) {
      if (ImGui::Selectable(text, ui.patch_shows == shows && selection.expert == expert))
        ui.patch_shows = shows, selection.expert = expert;
      tip(help);
    };
    item("winner", PatchShows::expert, {}, "The expert of largest gate weight of each patch");
    for (int64_t e = 0; e < experts; ++e)
      item(("expert " + std::to_string(e)).c_str(), PatchShows::expert, e, "Where this expert works");
    item("margin", PatchShows::margin, {},
         "How close the choice was: the last chosen probability less the first rejected one");
    if (ui.other_record)
      item("changed against B", PatchShows::changed, {},
           "Share of a patch's choices that the other run made differently");
    ImGui::EndCombo();
  }
  tip("What the colours mean: the winner of each patch, one expert, or how close the choice was");
}

// As high as `height`, with its line of text.
void pinned_path(Ui& ui, int64_t side, float height) {
  auto& selection = ui.studio.selection;
  const auto patch = *selection.patch;
  ImGui::Text("Patch %lld (%lld, %lld)", static_cast<long long>(patch), static_cast<long long>(patch / side),
              static_cast<long long>(patch % side));
  tip("Its row and column, from 0");
  ImGui::SameLine();
  if (ImGui::SmallButton("Let go")) {
    selection.patch.reset();
    return;
  }
  const auto* path = ui.path.of(ui.key(), [&] {
    const auto winners =
        pipeline::path_of_patch(*ui.record, selection.image, patch, selection.half).t().contiguous();
    MatrixView view{.values = winners.to(at::kFloat)};
    view.rgba = studio::category_rgba(winners, ui.record->num_experts());
    return view;
  });
  if (!path) return nothing_here(ui, ui.path.error());
  height -= ImGui::GetFrameHeightWithSpacing();
  const auto cell = matrix(
      ui, "path", *path, ui.path.version(), {ImGui::GetContentRegionAvail().x, height},
      {.rows = "layer", .columns = "step: its winner", .row = selection.layer, .column = selection.step});
  if (cell) {
    const auto winner = path->values[cell->row][cell->column].item<float>();
    ImGui::SetTooltip("layer %lld, step %lld: %s", static_cast<long long>(cell->row),
                      static_cast<long long>(cell->column),
                      winner < 0 ? "nobody" : ("expert " + number(winner)).c_str());
    if (cell->clicked) selection.layer = cell->row, go_to_step(ui, cell->column);
  }
}

}  // namespace

void patch_map_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& selection = ui.studio.selection;
  const float half = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  router_choice(ui);
  layer_slider(ui, half);
  ImGui::SameLine();
  step_slider(ui);
  ImGui::SetNextItemWidth(half);
  what_is_shown(ui);
  ImGui::SameLine();
  half_combo(ui, -FLT_MIN);
  const bool values = ui.patch_shows == PatchShows::expert && selection.expert;
  if (values) {
    measure_combo(ui, half);
    ImGui::SameLine();
  }
  ImGui::SetNextItemWidth(values ? -FLT_MIN : half);
  auto opacity = static_cast<float>(selection.opacity);
  if (ImGui::SliderFloat("##opacity", &opacity, 0, 1, "opacity %.2f", ImGuiSliderFlags_AlwaysClamp))
    selection.opacity = opacity;
  tip("Of the map over the image");

  const auto choice = static_cast<int>(ui.patch_shows);
  const auto* view = ui.patches.of(ui.key(choice), [&] { return patch_view(ui); });
  if (!view) return nothing_here(ui, ui.patches.error());
  if (!values) ImGui::SameLine();
  export_button(ui, "export patches", "patch-map", view->map, "row", "column");

  const auto side = view->map.values.size(0);
  const float line = ImGui::GetTextLineHeightWithSpacing();
  const bool pinned = selection.patch && side > 1;
  const float path = line * 4.6f + ui.theme.px(14) * static_cast<float>(ui.record->layers());
  const float legend_height =
      view->experts.defined() ? line * (ui.record->num_experts() > 12 ? 3 : 1) : line * 2.8f;
  auto size = ImGui::GetContentRegionAvail();
  size.y = std::max(size.y - legend_height - ui.theme.px(4), ui.theme.px(150));
  // The path of the pinned patch: below the image, or where that would leave little of it, right of it.
  const bool below = pinned && size.y - path > size.x * 0.55f, beside = pinned && !below;
  if (below) size.y -= path;
  if (beside) size.x = std::min(size.y, size.x * 0.5f);
  const auto image = ui.run->shown(selection.image, selection.step);
  // In units of the image's pixels, or of patches where there is none yet.
  const auto width = static_cast<float>(image.defined() ? image.size(1) : side);
  const auto placed = image_area("patches", ui.patch_view, size, width, width, true);
  auto* list = ImGui::GetWindowDrawList();
  list->PushClipRect(placed.from, placed.to, true);
  if (image.defined()) {
    const auto version = ui.run->version * 100'003 + static_cast<uint64_t>(selection.step) + 1;
    const auto name = "run " + std::to_string(ui.run->id) + " image " + std::to_string(selection.image);
    add_pixels(list, ui.textures.of(name, version, [&] { return studio::image_rgba(image); }), placed.origin,
               placed.at(width, width));
  }
  add_pixels(list, ui.textures.of("patch map", ui.patches.version(), [&] { return view->map.rgba; }),
             placed.origin, placed.at(width, width), {0, 0}, {1, 1}, opacity);
  const float patch = width / static_cast<float>(side);
  const auto outline = [&](int64_t index, ImU32 color) {
    const auto x = static_cast<float>(index % side) * patch, y = static_cast<float>(index / side) * patch;
    list->AddRect(placed.at(x, y), placed.at(x + patch, y + patch), IM_COL32(0, 0, 0, 200), 0, 0,
                  ui.theme.px(4));
    list->AddRect(placed.at(x, y), placed.at(x + patch, y + patch), color, 0, 0, ui.theme.px(2));
  };
  if (selection.patch && *selection.patch < side * side)
    outline(*selection.patch, IM_COL32(255, 255, 255, 255));
  const auto mouse = placed.mouse();
  if (placed.hovered && mouse.x >= 0 && mouse.y >= 0 && mouse.x < width && mouse.y < width) {
    const auto index = static_cast<int64_t>(mouse.y / patch) * side + static_cast<int64_t>(mouse.x / patch);
    outline(index, ui.theme.accent);
    patch_tooltip(ui, *view, index, side);
    if (placed.clicked) selection.patch = selection.patch == index ? std::nullopt : std::optional(index);
  }
  list->PopClipRect();
  if (beside) {
    ImGui::SameLine();
    ImGui::BeginGroup();
    pinned_path(ui, side, size.y);
    ImGui::EndGroup();
  }
  if (view->experts.defined()) {
    expert_legend(ui, ui.record->num_experts());
  } else {
    const bool one = ui.patch_shows == PatchShows::expert;
    const auto what =
        one ? std::string(name_of(selection.measure)) + ", expert " + std::to_string(*selection.expert)
        : ui.patch_shows == PatchShows::margin ? std::string("margin of the choice")
                                               : std::string("share of choices that differ");
    legend(ui, view->map, what.c_str());
  }
  if (below) pinned_path(ui, side, path);
}

}  // namespace switchyard::gui

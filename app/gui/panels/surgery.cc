// Surgery: what is changed in who works on what; the list of edits, and the same seed drawn with and without them.
#include <imgui.h>
#include <misc/cpp/imgui_stdlib.h>

#include <algorithm>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using pipeline::RoutingEdit;

bool has(const std::vector<int64_t>& list, int64_t value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

void toggle(std::vector<int64_t>& list, int64_t value) {
  if (const auto at = std::find(list.begin(), list.end(), value); at != list.end()) {
    list.erase(at);
  } else {
    list.insert(std::upper_bound(list.begin(), list.end(), value), value);
  }
}

// Small numbered squares, each on or off, in as many lines as it takes.
void numbers(Ui& ui, const char* label, std::vector<int64_t>& list, int64_t count, bool colored) {
  ImGui::PushID(label);
  const float side = ImGui::GetFrameHeight();
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) {
      ImGui::SameLine(0, ui.theme.px(3));
      if (ImGui::GetCursorScreenPos().x + side > right) ImGui::NewLine();
    }
    const bool on = has(list, i);
    if (on) ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyleColorVec4(ImGuiCol_Header));
    ImGui::PushStyleVar(ImGuiStyleVar_FramePadding, ImVec2(0, ImGui::GetStyle().FramePadding.y));
    if (ImGui::Button(std::to_string(i).c_str(), {side + ui.theme.px(4), 0})) toggle(list, i);
    ImGui::PopStyleVar();
    if (on) ImGui::PopStyleColor();
    if (colored) {
      const auto from = ImGui::GetItemRectMin(), to = ImGui::GetItemRectMax();
      ImGui::GetWindowDrawList()->AddRectFilled({from.x + 2, to.y - ui.theme.px(3)},
                                                {to.x - 2, to.y - ui.theme.px(1)}, expert_color(i, count));
    }
  }
  ImGui::PopID();
}

void label(const char* text) {
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  ImGui::AlignTextToFramePadding();
  ImGui::TextDisabled("%s", text);
  ImGui::TableNextColumn();
}

void region(Ui& ui, size_t index, RoutingEdit& edit) {
  const auto patches = std::count(edit.region.begin(), edit.region.end(), true);
  const bool painting = ui.brush == index;
  ImGui::BeginDisabled(!ui.run || edit.router != pipeline::Router::tokens);
  if (ImGui::Button(painting ? "Done" : "Paint")) {
    ui.brush = painting ? std::nullopt : std::optional(index);
    ui.canvas = CanvasMode::one;
    ImGui::SetWindowFocus(kCanvas);
  }
  ImGui::EndDisabled();
  tip("Paint on the image of the canvas where the edit holds; Shift erases");
  ImGui::SameLine();
  if (painting) {
    ImGui::SetNextItemWidth(ui.theme.px(90));
    ImGui::SliderInt("##brush", &ui.brush_size, 1, 6, "brush %d", ImGuiSliderFlags_AlwaysClamp);
    return;
  }
  ImGui::BeginDisabled(edit.region.empty());
  if (ImGui::Button("Everywhere")) edit.region.clear();
  ImGui::EndDisabled();
  if (patches > 0) {
    ImGui::SameLine();
    ImGui::TextDisabled("%lld", static_cast<long long>(patches));
    tip("Patches");
  }
}

// The fields of the edit that is open.
void details(Ui& ui, size_t index, RoutingEdit& edit, const dit::ModelConfig& config) {
  ImGui::Indent(ui.theme.px(8));
  if (ImGui::BeginTable("fields", 2)) {
    ImGui::TableSetupColumn("name", ImGuiTableColumnFlags_WidthFixed, ImGui::CalcTextSize("Experts  ").x);
    ImGui::TableSetupColumn("value", ImGuiTableColumnFlags_WidthStretch);
    label("Action");
    int action = static_cast<int>(edit.action);
    if (choice(ui, "action", action, {"mute", "scale", "force"},
               {"Never chosen", "Its gate weight is multiplied", "Chosen before all others"})) {
      edit.action = static_cast<RoutingEdit::Action>(action);
    }
    if (edit.action == RoutingEdit::Action::scale) {
      label("Factor");
      ImGui::SetNextItemWidth(-FLT_MIN);
      const double none = 0, most = 16;
      ImGui::DragScalar("##factor", ImGuiDataType_Double, &edit.factor, 0.01f, &none, &most, "%.3g",
                        ImGuiSliderFlags_AlwaysClamp);
      tip("Of the gate weight; 1 changes nothing");
    }
    const bool tokens = edit.router == pipeline::Router::tokens;
    if (config.routes_tokens() && config.routes_timesteps()) {
      label("Router");
      int router = tokens ? 0 : 1;
      if (choice(ui, "router", router, {"tokens", "timesteps"},
                 {"Experts that each patch picks", "Experts that the timestep picks"})) {
        edit.router = static_cast<pipeline::Router>(router);
        edit.experts = {0}, edit.region.clear();
      }
    }
    label("Experts");
    numbers(ui, "experts", edit.experts, tokens ? config.num_experts : config.timestep_experts, true);
    if (edit.experts.empty()) edit.experts = {0};  // an edit is of one expert or more
    label("Layers");
    numbers(ui, "layers", edit.layers, config.depth, false);
    if (edit.layers.empty()) ImGui::TextDisabled("none chosen: all");
    label("Times");
    ImGui::SetNextItemWidth(-FLT_MIN);
    float times[2] = {static_cast<float>(edit.t_low), static_cast<float>(edit.t_high)};
    if (ImGui::SliderFloat2("##times", times, 0, 1, "t %.2f", ImGuiSliderFlags_AlwaysClamp)) {
      edit.t_low = std::min(times[0], times[1]), edit.t_high = std::max(times[0], times[1]);
    }
    tip("From which t to which: 1 is noise, 0 the image");
    label("Half");
    ImGui::SetNextItemWidth(-FLT_MIN);
    int half = static_cast<int>(edit.half);
    if (combo("##half", half, {"with class", "without class", "both"}, -FLT_MIN, "Which half of guidance")) {
      edit.half = static_cast<RoutingEdit::Half>(half);
    }
    label("Region");
    region(ui, index, edit);
    ImGui::EndTable();
  }
  ImGui::Unindent(ui.theme.px(8));
}

void list(Ui& ui, const dit::ModelConfig& config) {
  auto& edits = ui.studio.edits.list;
  std::optional<size_t> removed;
  for (size_t i = 0; i < edits.size(); ++i) {
    auto& edit = edits[i];
    ImGui::PushID(static_cast<int>(i));
    ImGui::Checkbox("##on", &edit.on);
    tip("On or off in the next drawing");
    ImGui::SameLine();
    const float close = ImGui::GetFrameHeight() + ImGui::GetStyle().ItemSpacing.x;
    const auto name = edit.name.empty() ? studio::sentence_of(edit.edit) : edit.name;
    const bool open = ui.edit == i;
    const float width = ImGui::GetContentRegionAvail().x - close;
    ImGui::SetCursorPosY(ImGui::GetCursorPosY() -
                         ImGui::GetStyle().FramePadding.y);  // the line's base is text's
    if (ImGui::Selectable("##edit", open, ImGuiSelectableFlags_AllowOverlap,
                          {width, ImGui::GetFrameHeight()})) {
      ui.edit = open ? std::nullopt : std::optional(i);
    }
    tip(name.c_str());
    const auto from = ImGui::GetItemRectMin(), to = ImGui::GetItemRectMax();
    const float y = (from.y + to.y - ImGui::GetTextLineHeight()) / 2;
    ImGui::PushClipRect(from, to, true);
    ImGui::GetWindowDrawList()->AddText({from.x + ui.theme.px(4), y},
                                        ImGui::GetColorU32(edit.on ? ImGuiCol_Text : ImGuiCol_TextDisabled),
                                        name.c_str());
    ImGui::PopClipRect();
    ImGui::SameLine();
    if (ImGui::Button("x", {ImGui::GetFrameHeight(), 0})) removed = i;
    tip("Removes this edit");
    if (open) details(ui, i, edit.edit, config);
    ImGui::PopID();
  }
  if (removed) {
    edits.erase(edits.begin() + static_cast<std::ptrdiff_t>(*removed));
    ui.edit.reset(), ui.brush.reset();
  }
}

}  // namespace

void surgery_panel(Ui& ui) {
  auto& studio = ui.studio;
  const auto* model = studio.model();
  if (!model) return nothing_here(ui, "Open a model first.");
  if (!model->config.routes_tokens() && !model->config.routes_timesteps())
    return nothing_here(ui, "This model has no experts to act on.");
  auto& edits = studio.edits.list;
  const float half = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  if (ImGui::Button("Add an edit", {half, 0})) {
    const auto& selection = studio.selection;
    const auto router = model->config.routes_tokens() ? selection.router : pipeline::Router::timesteps;
    edits.push_back(
        {.edit = studio::mute(router, ui.record ? selection.layer : -1, selection.expert.value_or(0))});
    ui.edit = edits.size() - 1;
  }
  tip("Mutes the expert that the patch map shows, in its layer; everything about it can be changed");
  ImGui::SameLine();
  ImGui::BeginDisabled(!ui.run);
  if (ImGui::Button("Draw again", {-FLT_MIN, 0}))
    ui.later.push_back([&ui] { ui.studio.draw_again(ui.studio.selection.run); });
  ImGui::EndDisabled();
  tip("The same images and seeds with the edits that are on, beside the selected run");
  ImGui::BeginDisabled(edits.empty());
  if (ImGui::Button("Save JSON", {half, 0})) {
    ui.saving = SaveDialog{"Save the edits", "recipe.json",
                           [&studio](const std::filesystem::path& file) { studio.save_edits(file); }};
  }
  tip("What `switchyard sample --edit` takes; a file dropped on the window is added to the list");
  ImGui::SameLine();
  if (ImGui::Button("Remove all", {-FLT_MIN, 0})) edits.clear(), ui.edit.reset(), ui.brush.reset();
  ImGui::EndDisabled();
  ImGui::Separator();
  if (edits.empty()) {
    return nothing_here(ui,
                        "No edits: experts work as they like.\n\nAdd one here, Ctrl+click a cell of the "
                        "atlas, or right-click an expert below the patch map.");
  }
  ImGui::BeginChild("edits");
  list(ui, model->config);
  ImGui::EndChild();
}

}  // namespace switchyard::gui

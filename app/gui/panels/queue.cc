// Queue: what is being drawn, what waits, and what has been drawn, the newest first.
#include <imgui.h>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using studio::Run;

const char* word(Run::Status status) {
  switch (status) {
    case Run::Status::queued:
      return "waits";
    case Run::Status::drawing:
      return "drawing";
    case Run::Status::done:
      return "done";
    case Run::Status::cancelled:
      return "cancelled";
    case Run::Status::failed:
      return "failed";
  }
  return "";
}

std::string state(const Run& run) {
  if (run.status == Run::Status::drawing)
    return run.seconds_left > 0 ? seconds_text(run.seconds_left) + " left" : "drawing";
  if (run.status == Run::Status::done) return seconds_text(run.seconds);
  return word(run.status);
}

void line(Ui& ui, const Run& run) {
  const int64_t id = run.id;
  auto& selection = ui.studio.selection;
  ImGui::PushID(static_cast<int>(id));
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  const auto title = run.title();
  if (ImGui::Selectable(title.c_str(), selection.run == id,
                        ImGuiSelectableFlags_SpanAllColumns | ImGuiSelectableFlags_AllowOverlap)) {
    ui.later.push_back([&ui, id] { ui.studio.select(id); });
  }
  if (!run.message.empty()) tip(run.message.c_str());
  if (ImGui::BeginPopupContextItem("of run")) {
    if (ImGui::MenuItem("Compare with this (B)", nullptr, selection.other == id, selection.run != id)) {
      selection.other = selection.other == id ? -1 : id;
    }
    if (ImGui::MenuItem("Use its settings"))
      ui.later.push_back([&ui, id] { ui.studio.use_settings_of(id, 0); });
    if (ImGui::MenuItem("Draw again with the edits of now"))
      ui.later.push_back([&ui, id] { ui.studio.draw_again(id); });
    if (ImGui::MenuItem("Cancel", nullptr, false, !run.ended())) ui.studio.cancel(id);
    if (ImGui::MenuItem("Forget")) ui.later.push_back([&ui, id] { ui.studio.forget(id); });
    ImGui::EndPopup();
  }
  ImGui::TableNextColumn();
  if (selection.other == id) {
    ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(ui.theme.accent), "B");
  } else if (selection.run == id && selection.other >= 0) {
    ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(ui.theme.accent), "A");
  }
  ImGui::TableNextColumn();
  const auto color = run.status == Run::Status::failed ? ui.theme.error : ui.theme.quiet;
  ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(color), "%s", state(run).c_str());
  if (run.status == Run::Status::drawing) {
    const auto from = ImGui::GetItemRectMin(), to = ImGui::GetItemRectMax();
    const float width = ImGui::GetColumnWidth();
    auto* list = ImGui::GetWindowDrawList();
    list->AddRectFilled({from.x, to.y}, {from.x + width, to.y + ui.theme.px(2)}, ui.theme.grid);
    list->AddRectFilled({from.x, to.y},
                        {from.x + width * static_cast<float>(run.progress), to.y + ui.theme.px(2)},
                        ui.theme.accent);
  }
  ImGui::PopID();
}

}  // namespace

void queue_panel(Ui& ui) {
  const auto& runs = ui.studio.runs();
  if (runs.empty()) return nothing_here(ui, "Runs that are drawn and that wait are listed here.");
  if (ui.studio.waiting() > 0 || ui.studio.drawing()) {
    ImGui::AlignTextToFramePadding();
    const auto left = ui.studio.seconds_left();
    auto text =
        ui.studio.waiting() > 0 ? std::to_string(ui.studio.waiting()) + " waiting" : std::string("drawing");
    if (left > 0) text += ", " + seconds_text(left) + " left";
    if (ui.studio.opening()) text += ", then opens " + ui.studio.being_opened().front();
    ImGui::TextDisabled("%s", text.c_str());
    tip(text.c_str());
    const char* all = "Cancel all";
    const float width = ImGui::CalcTextSize(all).x + 2 * ImGui::GetStyle().FramePadding.x;
    ImGui::SameLine(ImGui::GetContentRegionMax().x - width);
    if (ImGui::SmallButton(all)) ui.studio.cancel_all();
    tip("Stops what is being drawn and forgets what waits");
  }
  if (!ImGui::BeginTable("runs", 3, ImGuiTableFlags_ScrollY | ImGuiTableFlags_NoPadOuterX)) return;
  ImGui::TableSetupColumn("run", ImGuiTableColumnFlags_WidthStretch);
  ImGui::TableSetupColumn("letter", ImGuiTableColumnFlags_WidthFixed, ImGui::CalcTextSize("B").x);
  ImGui::TableSetupColumn("state", ImGuiTableColumnFlags_WidthFixed, ImGui::CalcTextSize("cancelled").x);
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) line(ui, *run);
  ImGui::EndTable();
}

}  // namespace switchyard::gui

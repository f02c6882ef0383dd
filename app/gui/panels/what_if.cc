// What if another expert had taken the pinned patch, at its step and layer.
#include <imgui.h>

#include <algorithm>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using pipeline::WhatIf;

// Against the error as it was drawn: "-3.1 %".
std::string change(double error, double drawn) {
  if (drawn <= 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%+.2f %%", (error / drawn - 1) * 100);
  return text;
}

void answer_table(Ui& ui, const WhatIf& answer) {
  const auto best =
      std::ranges::min_element(answer.experts, {}, [](const auto& taken) { return taken.error.patch; });
  const auto best_words = best->chosen ? std::string("no other expert would have erred less there")
                                       : "least there: expert " + std::to_string(best->expert) + ", " +
                                             change(best->error.patch, answer.drawn.patch);
  ImGui::TextWrapped("As drawn: error %s in the patch, %s over all; %s.", number(answer.drawn.patch).c_str(),
                     number(answer.drawn.image).c_str(), best_words.c_str());
  constexpr auto flags = ImGuiTableFlags_RowBg | ImGuiTableFlags_BordersInnerH | ImGuiTableFlags_ScrollY |
                         ImGuiTableFlags_SizingStretchProp;
  if (!ImGui::BeginTable("what if", 5, flags, ImGui::GetContentRegionAvail())) return;
  ImGui::TableSetupScrollFreeze(0, 1);
  constexpr const char* kTitles[] = {"expert", "probability", "weight", "error, patch", "error, all"};
  for (const char* title : kTitles) ImGui::TableSetupColumn(title);
  ImGui::TableNextRow(ImGuiTableRowFlags_Headers);
  constexpr const char* kHelp[] = {
      "In the router's own order; those that it chose are marked", "What the router thought of it",
      "Its gate weight when it is forced: an expert that the router thinks little of "
      "weighs little even then",
      "Mean squared difference of the predicted clean image to the finished one, within "
      "the patch, and against the error as it was drawn",
      "The same over the whole image"};
  for (int i = 0; i < 5; ++i) {
    ImGui::TableSetColumnIndex(i);
    ImGui::TableHeader(kTitles[i]);
    tip(kHelp[i]);
  }
  const auto count = static_cast<int64_t>(answer.experts.size());
  for (const auto& taken : answer.experts) {
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    const float line = ImGui::GetTextLineHeight();
    const auto at = ImGui::GetCursorScreenPos();
    ImGui::GetWindowDrawList()->AddRectFilled({at.x, at.y + 2}, {at.x + line - 4, at.y + line - 2},
                                              expert_color(taken.expert, count), ui.theme.px(3));
    ImGui::Dummy({line, line});
    ImGui::SameLine(0, 0);
    ImGui::Text("%lld%s", static_cast<long long>(taken.expert), taken.chosen ? ", chosen" : "");
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(number(taken.probability).c_str());
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(number(taken.weight).c_str());
    for (const auto& [error, drawn] : {std::pair(taken.error.patch, answer.drawn.patch),
                                       std::pair(taken.error.image, answer.drawn.image)}) {
      ImGui::TableNextColumn();
      const bool least = &taken == &*best && error == taken.error.patch;
      ImGui::PushStyleColor(ImGuiCol_Text, least ? ui.theme.accent : ImGui::GetColorU32(ImGuiCol_Text));
      ImGui::Text("%s  %s", number(error).c_str(), change(error, drawn).c_str());
      ImGui::PopStyleColor();
    }
  }
  ImGui::EndTable();
}

}  // namespace

void what_if_panel(Ui& ui) {
  if (no_routing(ui)) return;
  auto& studio = ui.studio;
  const auto& selection = studio.selection;
  if (!ui.run->config.routes_tokens())
    return nothing_here(ui, "This model routes no patches: its experts take timesteps.");
  if (!selection.patch)
    return nothing_here(ui, "Pin a patch in the patch map (click it): what if another expert had taken it?");
  const float half = (ImGui::GetContentRegionAvail().x - ImGui::GetStyle().ItemSpacing.x) / 2;
  layer_slider(ui, half);
  ImGui::SameLine();
  step_slider(ui);
  const pipeline::WhatIfQuestion question{selection.image, selection.step, selection.layer, *selection.patch};
  const auto* study = ui.run->studies.what_if(question);
  const bool asked = study && study->id >= 0;
  const auto why = studio.why_not_study(ui.run->id);
  if (asked) {
    if (ImGui::Button("Cancel")) studio.cancel_studies(ui.run->id);
    ImGui::SameLine();
    ImGui::ProgressBar(static_cast<float>(study->progress), {-FLT_MIN, 0});
    return;
  }
  if (study && study->answer) return answer_table(ui, *study->answer);
  ImGui::BeginDisabled(!why.empty());
  if (ImGui::Button("Ask"))
    ui.later.push_back([&studio, id = ui.run->id, question] { studio.ask_what_if(id, question); });
  ImGui::EndDisabled();
  tip(why.empty() ? "Draws the image again up to this step, once with each expert forced on the patch"
                  : why.c_str());
  ImGui::SameLine();
  ImGui::TextDisabled("patch %lld, step %lld, layer %lld", static_cast<long long>(question.patch),
                      static_cast<long long>(question.step), static_cast<long long>(question.layer));
  nothing_here(
      ui, study && !study->message.empty()
              ? study->message
              : "What if another expert had taken this patch, here: how wrong would the step have been?");
}

}  // namespace switchyard::gui

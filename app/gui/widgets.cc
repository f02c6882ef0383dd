#include "app/gui/widgets.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "app/gui/studio/colors.h"

namespace switchyard::gui {

void tip(const char* text) {
  if (!ImGui::IsItemHovered(ImGuiHoveredFlags_DelayNormal | ImGuiHoveredFlags_AllowWhenDisabled)) return;
  if (!ImGui::BeginTooltip()) return;
  ImGui::PushTextWrapPos(ImGui::GetFontSize() * 24);
  ImGui::TextUnformatted(text);
  ImGui::PopTextWrapPos();
  ImGui::EndTooltip();
}

bool choice(Ui& ui, const char* label, int& chosen, std::initializer_list<const char*> names,
            std::initializer_list<const char*> tips) {
  bool changed = false;
  ImGui::PushID(label);
  const auto& style = ImGui::GetStyle();
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  for (int i = 0; i < static_cast<int>(names.size()); ++i) {
    const char* name = names.begin()[i];
    if (i > 0) {
      ImGui::SameLine(0, ui.theme.px(2));
      if (ImGui::GetCursorScreenPos().x + ImGui::CalcTextSize(name).x + 2 * style.FramePadding.x > right)
        ImGui::NewLine();
    }
    const bool on = chosen == i;
    if (on) {
      ImGui::PushStyleColor(ImGuiCol_Button, style.Colors[ImGuiCol_Header]);
      ImGui::PushStyleColor(ImGuiCol_ButtonHovered, style.Colors[ImGuiCol_Header]);
    }
    if (ImGui::Button(name) && !on) chosen = i, changed = true;
    if (on) ImGui::PopStyleColor(2);
    if (i < static_cast<int>(tips.size())) tip(tips.begin()[i]);
  }
  ImGui::PopID();
  return changed;
}

bool combo(const char* label, int& chosen, std::initializer_list<const char*> names, float width,
           const char* help) {
  ImGui::SetNextItemWidth(width);
  const bool changed = ImGui::Combo(label, &chosen, names.begin(), static_cast<int>(names.size()));
  tip(help);
  return changed;
}

void nothing_here(Ui& ui, const std::string& text) {
  const auto space = ImGui::GetContentRegionAvail();
  const float wrap = std::min(space.x - ui.theme.px(16), ui.theme.px(360));
  const auto size = ImGui::CalcTextSize(text.c_str(), nullptr, false, wrap);
  const auto at = ImGui::GetCursorPos();
  ImGui::SetCursorPos(
      {at.x + std::max(0.0f, (space.x - size.x) / 2), at.y + std::max(0.0f, (space.y - size.y) / 2)});
  ImGui::PushStyleColor(ImGuiCol_Text, ui.theme.quiet);
  ImGui::PushTextWrapPos(ImGui::GetCursorPosX() + wrap);
  ImGui::TextUnformatted(text.c_str());
  ImGui::PopTextWrapPos();
  ImGui::PopStyleColor();
}

bool no_routing(Ui& ui) {
  if (ui.record) return false;
  if (!ui.run) {
    nothing_here(ui, "Draw an image (Ctrl+Enter), and its routing appears here.");
  } else if (ui.run->status == studio::Run::Status::queued) {
    nothing_here(ui, "This run waits for its turn.");
  } else {
    nothing_here(ui, ui.run->message.empty() ? "This model has no routers: every token goes the same way."
                                             : ui.run->message);
  }
  return true;
}

void go_to_step(Ui& ui, int64_t step) {
  ui.studio.selection.step = step;
  ui.studio.selection.follow = false;
}

namespace {

bool slider(const char* label, int64_t& value, int64_t count, const std::string& text, float width) {
  ImGui::SetNextItemWidth(width > 0 ? width : -FLT_MIN);
  const int64_t low = 0, high = std::max<int64_t>(count - 1, 0);
  ImGui::BeginDisabled(high == 0);
  const bool changed = ImGui::SliderScalar(label, ImGuiDataType_S64, &value, &low, &high, text.c_str(),
                                           ImGuiSliderFlags_AlwaysClamp);
  ImGui::EndDisabled();
  return changed;
}

template <class Enum>
bool enum_combo(const char* label, Enum& value, std::initializer_list<const char*> names, float width,
                const char* help) {
  int chosen = static_cast<int>(value);
  const bool changed = combo(label, chosen, names, width, help);
  value = static_cast<Enum>(chosen);
  return changed;
}

}  // namespace

void layer_slider(Ui& ui, float width) {
  const int64_t layers = ui.record ? ui.record->layers() : 1;
  slider("##layer", ui.studio.selection.layer, layers, "layer %lld / " + std::to_string(layers - 1), width);
  tip("Block of the transformer, from 0. Keys: Up and Down");
}

void step_slider(Ui& ui, float width) {
  auto& selection = ui.studio.selection;
  const int64_t steps = ui.run ? ui.run->steps() : 1;
  char text[64] = "step %lld";
  if (ui.run && selection.step < steps) {
    std::snprintf(text, sizeof text, "step %%lld / %lld, t %.2f", static_cast<long long>(steps - 1),
                  ui.run->times[static_cast<size_t>(selection.step)]);
  }
  if (slider("##step", selection.step, steps, text, width)) selection.follow = false, ui.playing.reset();
  tip("Step of the solver, from noise (t 1) to image (t 0). Keys: Left and Right, Space plays");
}

void half_combo(Ui& ui, float width) {
  enum_combo("##half", ui.studio.selection.half, {"with class", "without class", "difference"}, width,
             "Which half of guidance: the model asked with the class, without it, or how the two differ");
}

const char* name_of(pipeline::Measure measure) {
  switch (measure) {
    case pipeline::Measure::tokens:
      return "share of tokens";
    case pipeline::Measure::weight:
      return "mean gate weight";
    case pipeline::Measure::probability:
      return "mean probability";
  }
  return "";
}

void measure_combo(Ui& ui, float width) {
  enum_combo("##measure", ui.studio.selection.measure, {"tokens", "gate weight", "probability"}, width,
             "What is counted of an expert: tokens that chose it (sums to k over experts), its gate weight, "
             "or what the router thought of it");
}

void normalisation_combo(Ui& ui, float width) {
  enum_combo("##normalisation", ui.studio.selection.normalisation,
             {"as it is", "by row", "by column", "by the greatest", "1 is even"}, width,
             "What the colours are relative to: nothing, the sum of the row or column, the greatest value, "
             "or an even share");
}

void router_choice(Ui& ui) {
  if (!ui.run || ui.run->records.size() < 2) return;
  int router = static_cast<int>(ui.studio.selection.router);
  if (choice(ui, "router", router, {"Tokens", "Timesteps"},
             {"Experts that each patch picks", "Experts that the timestep picks"})) {
    ui.studio.selection.router = static_cast<pipeline::Router>(router);
  }
}

ImU32 expert_color(int64_t expert, int64_t experts) {
  const auto color = figures::category_color(expert, experts);
  return IM_COL32(color[0], color[1], color[2], 255);
}

std::string number(double value) {
  if (std::isnan(value)) return "none";
  char text[32];
  if (value != 0 && std::abs(value) < 1e-4) {
    std::snprintf(text, sizeof text, "%.1e", value);
  } else {
    std::snprintf(text, sizeof text, "%.3g", value);
  }
  return text;
}

std::string seconds_text(double seconds) {
  char text[32];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof text, "%.1f s", seconds);
  } else if (seconds < 120) {
    std::snprintf(text, sizeof text, "%.0f s", seconds);
  } else {
    std::snprintf(text, sizeof text, "%.0f min", seconds / 60);
  }
  return text;
}

ViewKey Ui::key(int chosen) const {
  ViewKey key{.version = run ? run->version : 0,
              .other_version = other ? other->version : 0,
              .selection = studio.selection,
              .choice = chosen};
  key.selection.opacity = 0;  // changes no number
  key.selection.follow = false;
  return key;
}

}  // namespace switchyard::gui

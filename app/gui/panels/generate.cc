// Generate: the model, what to draw, and every setting that has a meaning for them.
#include <imgui.h>
#include <misc/cpp/imgui_stdlib.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "app/gui/widgets.h"
#include "pipeline/settings.h"
#include "pipeline/settings_text.h"

namespace switchyard::gui {
namespace {

// A row of the form: what it is on the left, quiet; the control takes the rest.
void row(Ui& ui, const char* label, const char* help, bool changed = false) {
  ImGui::TableNextRow();
  ImGui::TableNextColumn();
  ImGui::AlignTextToFramePadding();
  ImGui::PushStyleColor(ImGuiCol_Text, changed ? ui.theme.accent : ui.theme.quiet);
  ImGui::TextUnformatted(label);
  ImGui::PopStyleColor();
  tip(help);
  ImGui::TableNextColumn();
  ImGui::SetNextItemWidth(-FLT_MIN);
}

bool control(const char* id, double& value, const pipeline::Range& range) {
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  const double low =
      range.open && std::isfinite(range.low) ? std::nextafter(range.low, range.high) : range.low;
  const bool unbounded = std::isinf(range.low) && std::isinf(range.high);
  const double span = std::isfinite(range.low) && std::isfinite(range.high) ? range.high - range.low : 10;
  const auto speed = static_cast<float>(std::clamp(span / 400, 0.002, 0.02));
  double edited = value;
  if (!ImGui::DragScalar(id, ImGuiDataType_Double, &edited, speed, nullptr, nullptr, "%.4g")) return false;
  if (!unbounded)
    edited =
        std::clamp(edited, low, range.open && std::isfinite(range.high) ? range.high - tiny : range.high);
  if (!range.holds(edited)) return false;
  value = edited;
  return true;
}

template <class Integer>
bool whole(const char* id, Integer& value, const pipeline::Range& range) {
  int64_t edited = value;
  const int64_t one = 1, ten = 10;
  if (!ImGui::InputScalar(id, ImGuiDataType_S64, &edited, &one, &ten)) return false;
  const double clamped = std::clamp(static_cast<double>(edited), range.low, range.high);
  value = static_cast<Integer>(clamped);
  return true;
}
bool control(const char* id, int& value, const pipeline::Range& range) { return whole(id, value, range); }
bool control(const char* id, int64_t& value, const pipeline::Range& range) { return whole(id, value, range); }

bool control(const char* id, std::string& value, const pipeline::Range&) {
  return ImGui::InputText(id, &value);
}

template <class Choice>
requires std::is_enum_v<Choice>
bool control(const char* id, Choice& value, const pipeline::Range&) {
  const auto names = pipeline::names_of(value);
  bool changed = false;
  if (!ImGui::BeginCombo(id, std::string(names[static_cast<size_t>(value)]).c_str())) return false;
  for (size_t i = 0; i < names.size(); ++i) {
    const bool chosen = static_cast<size_t>(value) == i;
    if (ImGui::Selectable(std::string(names[i]).c_str(), chosen) && !chosen)
      value = static_cast<Choice>(i), changed = true;
  }
  ImGui::EndCombo();
  return changed;
}

std::string label_of(const pipeline::Field& field) {
  std::string words = pipeline::words_of(field.option);
  std::transform(words.begin(), words.begin() + 1, words.begin(),
                 [](char c) { return static_cast<char>(std::toupper(c)); });
  return words;
}

// Fields without meaning for the model and the settings above them are not there. The name of what is not as the model
// would have it is coloured; a right click on it brings that back.
void settings_rows(Ui& ui, const studio::OpenedModel& model) {
  auto& settings = ui.studio.form.settings;
  auto own = model.settings;
  std::string before;
  pipeline::for_each_field(
      [&](const pipeline::Field& field, auto& value, auto& usual) {
        if (!pipeline::has_meaning(field, model.config, settings)) return;
        const bool second = before == field.option;
        before = field.option;
        row(ui, second ? "   to" : label_of(field).c_str(), field.help, value != usual);
        control((std::string("##") + field.name).c_str(), value, pipeline::range_of(field, model.config));
        const auto text = std::string(field.help) +
                          ".\nThe model's own: " + std::string(pipeline::text_of(usual)) +
                          (value != usual ? " (right click: back to it)" : "");
        tip(text.c_str());
        if (ImGui::IsItemClicked(ImGuiMouseButton_Right)) value = usual;
      },
      settings, own);
}

std::string class_name(const dit::ModelConfig& config, int64_t label) {
  if (label == config.null_class()) return "no class";
  const auto index = static_cast<size_t>(label);
  return index < config.class_names.size() ? config.class_names[index] : "class " + std::to_string(label);
}

bool found(const std::string& text, const std::string& wanted) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return std::search(text.begin(), text.end(), wanted.begin(), wanted.end(), same) != text.end();
}

void class_picker(Ui& ui, const studio::OpenedModel& model) {
  auto& label = ui.studio.form.label;
  auto& favourites = ui.studio.remembered.favourites[model.name];
  const auto favourite = [&](int64_t l) { return std::find(favourites.begin(), favourites.end(), l); };
  if (!ImGui::BeginCombo("##class", class_name(model.config, label).c_str(), ImGuiComboFlags_HeightLarge)) {
    tip("What to draw: type to search, the star keeps a class on top");
    return;
  }
  if (ImGui::IsWindowAppearing()) ImGui::SetKeyboardFocusHere(), ui.class_filter.clear();
  ImGui::SetNextItemWidth(-FLT_MIN);
  ImGui::InputTextWithHint("##search", "search", &ui.class_filter);
  std::optional<int64_t> switched;
  const auto line = [&](int64_t l) {
    const auto name = class_name(model.config, l);
    if (!ui.class_filter.empty() && !found(name, ui.class_filter)) return;
    ImGui::PushID(static_cast<int>(l));
    const float side = ImGui::GetTextLineHeight();
    const auto at = ImGui::GetCursorScreenPos();
    if (ImGui::InvisibleButton("favourite", {side, side})) switched = l;
    const ImVec2 middle{at.x + side / 2, at.y + side / 2};
    auto* list = ImGui::GetWindowDrawList();
    if (favourite(l) != favourites.end()) {
      list->AddCircleFilled(middle, side * 0.28f, ui.theme.accent);
    } else {
      list->AddCircle(middle, side * 0.28f, ui.theme.grid, 0, ui.theme.px(1.5f));
    }
    tip("Favourite: stays on top");
    ImGui::SameLine();
    if (ImGui::Selectable(name.c_str(), l == label)) label = l, ImGui::CloseCurrentPopup();
    ImGui::PopID();
  };
  for (const auto l : favourites) {
    if (l < model.config.labels()) line(l);
  }
  for (int64_t l = 0; l < model.config.labels(); ++l) {
    if (favourite(l) == favourites.end()) line(l);
  }
  if (switched) {
    if (const auto at = favourite(*switched); at != favourites.end()) {
      favourites.erase(at);
    } else {
      favourites.push_back(*switched);
    }
  }
  ImGui::EndCombo();
}

void model_picker(Ui& ui) {
  const auto* model = ui.studio.model();
  const bool later = ui.studio.drawing() || ui.studio.waiting() > 0;
  const std::string name = ui.studio.opening()
                               ? ui.studio.being_opened().front() + (later ? ", later" : "...")
                           : model ? model->name
                                   : "none";
  if (!ImGui::BeginCombo("##model", name.c_str())) {
    if (model) tip(model->where.c_str());
    return;
  }
  if (ImGui::Selectable("solids (part of the program)")) ui.studio.open_embedded();
  for (const auto& file : ui.studio.remembered.recent) {
    if (ImGui::Selectable(file.string().c_str())) ui.later.push_back([&ui, file] { ui.studio.open(file); });
  }
  ImGui::Separator();
  if (ImGui::Selectable("Open...")) ui.opening = true;
  ImGui::EndCombo();
}

}  // namespace

void generate_panel(Ui& ui) {
  auto& studio = ui.studio;
  auto& form = studio.form;
  const auto* model = studio.model();
  const auto reason = studio.why_not_draw();
  ImGui::BeginDisabled(!reason.empty());
  ImGui::PushStyleColor(ImGuiCol_Button, ImGui::GetStyleColorVec4(ImGuiCol_Header));
  const bool busy = studio.drawing() != nullptr;
  const float stop_width = busy ? ui.theme.px(76) + ImGui::GetStyle().ItemSpacing.x : 0;
  if (ImGui::Button("Draw", {ImGui::GetContentRegionAvail().x - stop_width, ui.theme.px(34)})) studio.draw();
  ImGui::PopStyleColor();
  ImGui::EndDisabled();
  tip(reason.empty() ? "Draws what is chosen below (Ctrl+Enter)" : reason.c_str());
  if (busy) {
    ImGui::SameLine();
    if (ImGui::Button("Cancel", {ui.theme.px(76), ui.theme.px(34)})) studio.cancel();
    tip("Stops the run that is being drawn (Esc)");
  }
  if (const auto on = std::ranges::count(studio.edits.list, true, &studio::Edit::on); on > 0) {
    ImGui::TextColored(ImGui::ColorConvertU32ToFloat4(ui.theme.accent), "with %lld edit%s of Surgery",
                       static_cast<long long>(on), on == 1 ? "" : "s");
  }
  ImGui::Spacing();
  if (!ImGui::BeginTable("form", 2)) return;
  ImGui::TableSetupColumn("name", ImGuiTableColumnFlags_WidthFixed, ImGui::GetContentRegionAvail().x * 0.42f);
  ImGui::TableSetupColumn("value", ImGuiTableColumnFlags_WidthStretch);
  row(ui, "Model", "Whose experts draw; also by dropping a file on the window");
  model_picker(ui);
  if (model) {
    row(ui, "Class", "What to draw");
    class_picker(ui, *model);
    row(ui, "Seed", "Fixes the noise: the same seed and settings give the same image");
    const float check =
        ImGui::GetFrameHeight() + ImGui::CalcTextSize("fresh").x + 2 * ImGui::GetStyle().ItemInnerSpacing.x;
    ImGui::SetNextItemWidth(-check);
    ImGui::BeginDisabled(form.fresh_seed);
    ImGui::InputScalar("##seed", ImGuiDataType_U64, &form.seed);
    ImGui::EndDisabled();
    tip(form.fresh_seed ? "Another one each time; switch `fresh` off to choose it"
                        : "Of the first image; the next one has one more");
    ImGui::SameLine(0, ImGui::GetStyle().ItemInnerSpacing.x);
    ImGui::Checkbox("fresh", &form.fresh_seed);
    tip("Another seed at each drawing");
    row(ui, "Images", "How many, with seeds that follow each other");
    whole("##count", form.count, {1, 1000});
    tip("How many, with seeds that follow each other");
    row(ui, "At a time", "Images drawn together: speed and memory, never pixels");
    whole("##batch", form.batch, {1, 256});
    tip("Images drawn together: speed and memory, never pixels");
    settings_rows(ui, *model);
  }
  ImGui::EndTable();
  if (!model) return;
  if (model->doubt) {
    ImGui::PushStyleColor(ImGuiCol_Text, ui.theme.warning);
    ImGui::TextWrapped("%s", model->doubt->c_str());
    ImGui::PopStyleColor();
  }
  ImGui::Spacing();
  const auto bring_back = [&](const char* label, const pipeline::Settings& settings, const char* what) {
    ImGui::BeginDisabled(form.settings == settings);
    if (ImGui::Button(label)) form.settings = settings;
    ImGui::EndDisabled();
    tip(what);
  };
  bring_back("Own settings", model->settings, "Back to what the model draws best with");
  ImGui::SameLine();
  bring_back("Fast settings", model->fast_settings,
             "What it draws well with in little time: for a first look");
}

}  // namespace switchyard::gui

// The gate of a model that routes timesteps: experts x all timesteps, of one block or of all, with the windows that the
// diffusion prior of training wants as outlines.
#include <ATen/ATen.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

struct Rows {
  int64_t first_layer, layers, experts;
  int64_t count() const { return layers * experts; }
};

// Coloured [rows, columns], from noise to image: means over the timesteps that a column of the screen stands for. The
// numbers are those of every timestep, from 0.
MatrixView gate_view(const pipeline::TimestepGate& gate, const Rows& rows, int64_t columns) {
  const auto all =
      gate.probabilities.narrow(0, rows.first_layer, rows.layers).transpose(1, 2).reshape({rows.count(), -1});
  auto view = matrix_view(at::adaptive_avg_pool1d(all.flip(1).unsqueeze(0), columns).squeeze(0), false);
  view.values = all.contiguous();
  return view;
}

void labels(Ui& ui, const Rows& rows, ImVec2 start, ImVec2 from, float width, float row_height,
            int64_t timesteps) {
  auto* list = ImGui::GetWindowDrawList();
  const auto quiet = ImGui::GetColorU32(ImGuiCol_TextDisabled);
  const float line = ImGui::GetTextLineHeight(), swatch = ui.theme.px(8), gap = ui.theme.px(5);
  list->AddText(start, quiet, rows.layers > 1 ? "block" : "expert");
  for (int64_t r = 0; r < rows.count(); ++r) {
    const float y = from.y + row_height * static_cast<float>(r);
    list->AddRectFilled({from.x - gap - swatch, y}, {from.x - gap, y + row_height},
                        expert_color(r % rows.experts, rows.experts));
    const bool first = r % rows.experts == 0;
    if (rows.layers > 1 && !first) continue;
    const auto name = std::to_string(rows.layers > 1 ? r / rows.experts : r);
    const float height = row_height * static_cast<float>(rows.layers > 1 ? rows.experts : 1);
    if (height >= line || r == 0) list->AddText({start.x, y + (height - line) / 2}, quiet, name.c_str());
    if (rows.layers > 1 && r > 0)
      list->AddLine({from.x, y}, {from.x + width, y}, ui.theme.grid, ui.theme.px(1));
  }
  const float below = from.y + row_height * static_cast<float>(rows.count()) + gap / 2;
  for (int i = 0; i <= 4; ++i) {
    const auto text = std::to_string(std::lround(static_cast<double>(timesteps - 1) * (4 - i) / 4));
    const float text_width = ImGui::CalcTextSize(text.c_str()).x;
    list->AddText({from.x + (width - text_width) * static_cast<float>(i) / 4, below}, quiet, text.c_str());
  }
  constexpr const char* kTitle = "timestep, from noise to image";
  list->AddText({from.x + (width - ImGui::CalcTextSize(kTitle).x) / 2, below + line}, quiet, kTitle);
}

}  // namespace

void gate_map(Ui& ui, bool all_blocks) {
  const auto& gate = *ui.run->gate;
  auto& selection = ui.studio.selection;
  const auto timesteps = gate.probabilities.size(1);
  const Rows rows{all_blocks ? 0 : std::min(selection.layer, gate.probabilities.size(0) - 1),
                  all_blocks ? gate.probabilities.size(0) : 1, gate.probabilities.size(2)};
  const float line = ImGui::GetTextLineHeight(), gap = ui.theme.px(5);
  const float left = ImGui::CalcTextSize("000").x + 2 * gap + ui.theme.px(8);
  const auto space = ImGui::GetContentRegionAvail();
  const float width = std::max(ui.theme.px(80), std::floor(space.x - left - gap));
  auto key = ui.key(static_cast<int>(width) * 2 + all_blocks);
  key.selection.step = 0;
  const auto* view = ui.gate.of(key, [&] { return gate_view(gate, rows, static_cast<int64_t>(width)); });
  if (!view) return nothing_here(ui, ui.gate.error());
  ImGui::SameLine();
  export_button(ui, "export gate", "gate", *view, rows.layers > 1 ? "block and expert" : "expert",
                "timestep");
  legend(ui, *view,
         (rows.layers > 1 ? "the gate's probability, all blocks"
                          : "the gate's probability, block " + std::to_string(rows.first_layer))
             .c_str());

  const auto start = ImGui::GetCursorScreenPos();
  const ImVec2 from{std::floor(start.x + left), std::floor(start.y + line + gap / 2)};
  const float height = ImGui::GetContentRegionAvail().y - 3 * line - 2 * gap;
  const float row_height =
      std::clamp(std::floor(height / static_cast<float>(rows.count())), ui.theme.px(5), ui.theme.px(44));
  const ImVec2 to{from.x + width, from.y + row_height * static_cast<float>(rows.count())};
  auto* list = ImGui::GetWindowDrawList();
  add_pixels(list, ui.textures.of("gate map", ui.gate.version(), [&] { return view->rgba; }), from, to);
  labels(ui, rows, start, from, width, row_height, timesteps);
  const auto x_of = [&](double timestep) {
    return from.x + width * static_cast<float>(1 - timestep / static_cast<double>(timesteps));
  };
  const auto windows = gate.windows.narrow(0, rows.first_layer, rows.layers).reshape({-1, 2});
  for (int64_t r = 0; r < rows.count(); ++r) {
    const auto first = windows[r][0].item<int64_t>(), last = windows[r][1].item<int64_t>();
    if (first < 0) continue;
    const float y = from.y + row_height * static_cast<float>(r);
    const ImVec2 low{x_of(static_cast<double>(last + 1)), y + 1},
        high{x_of(static_cast<double>(first)), y + row_height - 1};
    if (row_height < ui.theme.px(10)) {  // an outline would leave nothing to see of the row: its ends alone
      for (const float x : {low.x, high.x})
        list->AddLine({x, y}, {x, y + row_height}, IM_COL32_WHITE, ui.theme.px(1.5f));
      continue;
    }
    list->AddRect(low, high, IM_COL32(0, 0, 0, 160), 0, 0, ui.theme.px(2.5f));
    list->AddRect(low, high, IM_COL32(255, 255, 255, 230), 0, 0, ui.theme.px(1));
  }
  const float now =
      x_of(ui.run->times[static_cast<size_t>(selection.step)] * static_cast<double>(timesteps - 1) + 0.5);
  list->AddLine({now, from.y}, {now, to.y}, ui.theme.shade, ui.theme.px(3));
  list->AddLine({now, from.y}, {now, to.y}, ui.theme.mark, ui.theme.px(1));

  ImGui::SetCursorScreenPos(from);
  ImGui::InvisibleButton("gate map", {width, to.y - from.y});
  if (ImGui::IsItemHovered()) {
    const auto mouse = ImGui::GetMousePos();
    const auto row =
        std::clamp<int64_t>(static_cast<int64_t>((mouse.y - from.y) / row_height), 0, rows.count() - 1);
    const auto timestep = std::clamp<int64_t>(
        static_cast<int64_t>((1 - (mouse.x - from.x) / width) * static_cast<float>(timesteps)), 0,
        timesteps - 1);
    const auto layer = rows.first_layer + row / rows.experts, expert = row % rows.experts;
    const auto first = windows[row][0].item<int64_t>(), last = windows[row][1].item<int64_t>();
    ImGui::SetTooltip(
        "block %lld, expert %lld, timestep %lld: probability %s%s\nthe prior wants it %s\nclick: the step "
        "nearest to it",
        static_cast<long long>(layer), static_cast<long long>(expert), static_cast<long long>(timestep),
        number(gate.probabilities[layer][timestep][expert].item<float>()).c_str(),
        gate.experts[layer][timestep].eq(expert).any().item<bool>() ? ", chosen" : "",
        first < 0 ? "never"
                  : ("from timestep " + std::to_string(last) + " to " + std::to_string(first)).c_str());
    if (ImGui::IsItemClicked()) {
      selection.layer = layer;
      const auto distance = [&](double time) {
        return std::abs(time - static_cast<double>(timestep) / static_cast<double>(timesteps - 1));
      };
      const auto& times = ui.run->times;
      go_to_step(ui, std::ranges::min_element(times, {}, distance) - times.begin());
    }
  }
  ImGui::SetCursorScreenPos(start);
  ImGui::Dummy({to.x - start.x, to.y + 2 * line + gap - start.y});
}

}  // namespace switchyard::gui

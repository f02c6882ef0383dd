#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "app/gui/studio/colors.h"
#include "app/gui/studio/exports.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

// Numbers along a side: every one, every second, fifth, ... so that none touches the next.
int64_t label_stride(int64_t count, float cell, float needed) {
  for (const int64_t stride : {1, 2, 5, 10, 20, 50, 100, 200, 500}) {
    if (static_cast<float>(stride) * cell >= needed || stride >= count) return stride;
  }
  return 1000;
}

}  // namespace

std::optional<Cell> matrix(Ui& ui, const char* label, const MatrixView& view, uint64_t version, ImVec2 size,
                           const MatrixLook& look) {
  const int64_t rows = view.values.size(0), columns = view.values.size(1);
  auto* list = ImGui::GetWindowDrawList();
  const auto text_color = ImGui::GetColorU32(ImGuiCol_TextDisabled);
  const float line = ImGui::GetTextLineHeight(), gap = ui.theme.px(5), swatch = ui.theme.px(8);
  const float names = ImGui::CalcTextSize(std::to_string(rows - 1).c_str()).x;
  float right = 0;
  for (const auto& [title, values] : look.beside) right += ImGui::CalcTextSize(title).x + 2 * gap;
  const float left = names + gap + (look.experts_in_rows ? swatch + gap : 0);
  const float bottom = 2 * line + gap + (look.experts_in_columns ? swatch : 0), top = line + gap / 2;
  // Cells of whole pixels, so that all of them are the same.
  const float cell_x =
      std::max(1.0f, std::floor((size.x - left - right - gap) / static_cast<float>(columns)));
  const float cell_y = std::clamp(std::floor((size.y - bottom - top) / static_cast<float>(rows)),
                                  ui.theme.px(11), ui.theme.px(44));
  const ImVec2 start = ImGui::GetCursorScreenPos();
  const ImVec2 from{std::floor(start.x + left), std::floor(start.y + top)};
  const ImVec2 to{from.x + cell_x * static_cast<float>(columns), from.y + cell_y * static_cast<float>(rows)};

  list->AddText(start, text_color, look.rows);
  const auto texture = ui.textures.of(label, version, [&] { return view.rgba; });
  add_pixels(list, texture, from, to);
  list->AddRect(from, to, ui.theme.grid);

  float beside = to.x + 2 * gap;
  for (const auto& [title, values] : look.beside) {
    list->AddText({beside, start.y}, text_color, title);
    for (int64_t r = 0; r < rows; r += label_stride(rows, cell_y, line)) {
      list->AddText({beside, from.y + cell_y * (static_cast<float>(r) + 0.5f) - line / 2},
                    ImGui::GetColorU32(ImGuiCol_Text), number(values[r].item<float>()).c_str());
    }
    beside += ImGui::CalcTextSize(title).x + 2 * gap;
  }
  const auto row_stride = label_stride(rows, cell_y, line);
  for (int64_t r = 0; r < rows; ++r) {
    const float y = from.y + cell_y * static_cast<float>(r);
    if (look.experts_in_rows) {
      list->AddRectFilled({from.x - gap - swatch, y}, {from.x - gap, y + cell_y}, expert_color(r, rows));
    }
    if (r % row_stride) continue;
    const auto name = std::to_string(r);
    list->AddText({start.x + names - ImGui::CalcTextSize(name.c_str()).x, y + (cell_y - line) / 2},
                  look.row == r ? ImGui::GetColorU32(ImGuiCol_Text) : text_color, name.c_str());
  }
  const float widest = ImGui::CalcTextSize(std::to_string(columns - 1).c_str()).x;
  const auto column_stride = label_stride(columns, cell_x, widest + gap * 2);
  float y = to.y + gap / 2;
  if (look.experts_in_columns) {
    for (int64_t c = 0; c < columns; ++c) {
      const float x = from.x + cell_x * static_cast<float>(c);
      list->AddRectFilled({x, y}, {x + cell_x, y + swatch - 2}, expert_color(c, columns));
    }
    y += swatch;
  }
  for (int64_t c = 0; c < columns; c += column_stride) {
    const auto name = std::to_string(c);
    const float width = ImGui::CalcTextSize(name.c_str()).x;
    const float x = from.x + cell_x * (static_cast<float>(c) + 0.5f) - width / 2;
    list->AddText({std::clamp(x, start.x, start.x + size.x - width), y},
                  look.column == c ? ImGui::GetColorU32(ImGuiCol_Text) : text_color, name.c_str());
  }
  list->AddText({std::max(from.x, (from.x + to.x - ImGui::CalcTextSize(look.columns).x) / 2), y + line},
                text_color, look.columns);

  const auto outline = [&](float x0, float y0, float x1, float y1, ImU32 color, float thick) {
    list->AddRect({x0 - 1, y0 - 1}, {x1 + 1, y1 + 1}, ui.theme.shade, 0, 0, thick + 2);
    list->AddRect({x0, y0}, {x1, y1}, color, 0, 0, thick);
  };
  if (look.column && *look.column < columns) {
    const float x = from.x + cell_x * static_cast<float>(*look.column);
    outline(x, from.y, x + cell_x, to.y, ui.theme.mark, ui.theme.px(1));
  }
  if (look.row && *look.row < rows) {
    const float row_y = from.y + cell_y * static_cast<float>(*look.row);
    outline(from.x, row_y, to.x, row_y + cell_y, ui.theme.mark, ui.theme.px(1));
  }

  ImGui::SetCursorScreenPos(from);
  ImGui::InvisibleButton(label, {to.x - from.x, to.y - from.y});
  std::optional<Cell> hit;
  if (ImGui::IsItemHovered()) {
    const auto mouse = ImGui::GetMousePos();
    hit = Cell{std::clamp<int64_t>(static_cast<int64_t>((mouse.y - from.y) / cell_y), 0, rows - 1),
               std::clamp<int64_t>(static_cast<int64_t>((mouse.x - from.x) / cell_x), 0, columns - 1),
               ImGui::IsItemClicked()};
    const float x = from.x + cell_x * static_cast<float>(hit->column);
    const float hit_y = from.y + cell_y * static_cast<float>(hit->row);
    outline(x, hit_y, x + cell_x, hit_y + cell_y, ui.theme.accent, ui.theme.px(1.5f));
  }
  ImGui::SetCursorScreenPos(start);
  ImGui::Dummy({std::max(to.x - start.x, 1.0f), to.y + bottom - start.y});
  return hit;
}

void legend(Ui& ui, const MatrixView& view, const char* what) {
  constexpr int64_t kSteps = 128;
  const auto name = std::string("legend ") + (view.diverging ? "diverging" : "sequential");
  const auto texture = ui.textures.of(name, 1, [&] {
    const auto ramp = at::linspace(view.diverging ? -1 : 0, 1, kSteps).reshape({1, kSteps});
    return view.diverging ? studio::diverging_rgba(ramp, 1) : studio::sequential_rgba(ramp, 0, 1);
  });
  auto* list = ImGui::GetWindowDrawList();
  const float height = ui.theme.px(10), line = ImGui::GetTextLineHeight();
  const auto start = ImGui::GetCursorScreenPos();
  const auto quiet = ImGui::GetColorU32(ImGuiCol_TextDisabled);
  const float space = ImGui::GetContentRegionAvail().x;
  // "nothing" stands beside the ramp.
  const float nothing_width = ImGui::CalcTextSize("none").x;
  const float width =
      std::max(ui.theme.px(80), std::min(space - nothing_width - ui.theme.px(36), ui.theme.px(320)));
  list->AddText(start, quiet, what);
  const ImVec2 from{start.x, start.y + line + 2}, to{start.x + width, start.y + line + 2 + height};
  list->AddImage(texture.id, from, to);
  list->AddRect(from, to, ui.theme.grid);
  for (int i = 0; i <= 2; ++i) {
    if (i == 1 && width < ui.theme.px(140)) continue;  // they would touch
    const auto text = number(view.low + (view.high - view.low) * i / 2);
    const float text_width = ImGui::CalcTextSize(text.c_str()).x;
    list->AddText({from.x + (width - text_width) * static_cast<float>(i) / 2, to.y + 1},
                  ImGui::GetColorU32(ImGuiCol_Text), text.c_str());
  }
  const float x = to.x + ui.theme.px(14);
  const auto& n = studio::kNothing;
  list->AddRectFilled({x, from.y}, {x + height, to.y}, IM_COL32(n[0], n[1], n[2], 160));
  list->AddText({x + height + ui.theme.px(5), from.y + (height - line) / 2}, quiet, "none");
  ImGui::Dummy({width, line * 2 + height + 4});
}

void expert_legend(Ui& ui, int64_t experts) {
  auto& chosen = ui.studio.selection.expert;
  const float side = ImGui::GetTextLineHeight();
  const float right = ImGui::GetCursorScreenPos().x + ImGui::GetContentRegionAvail().x;
  auto* list = ImGui::GetWindowDrawList();
  for (int64_t e = 0; e < experts; ++e) {
    const auto text = std::to_string(e);
    const float width = side + ui.theme.px(5) + ImGui::CalcTextSize(text.c_str()).x;
    if (e > 0) {
      ImGui::SameLine(0, ui.theme.px(10));
      if (ImGui::GetCursorScreenPos().x + width > right) ImGui::NewLine();
    }
    const auto from = ImGui::GetCursorScreenPos();
    if (ImGui::InvisibleButton(("expert " + text).c_str(), {width, side})) {
      chosen = chosen == e ? std::nullopt : std::optional(e);
    }
    const bool hovered = ImGui::IsItemHovered();
    if (hovered)
      ImGui::SetTooltip("expert %s: click to see its patches alone; right-click to mute it", text.c_str());
    if (ImGui::IsItemClicked(ImGuiMouseButton_Right)) {
      ui.later.push_back([&ui, e] { ui.studio.mute(ui.studio.selection.layer, e); });
    }
    list->AddRectFilled({from.x, from.y + 2}, {from.x + side - 4, from.y + side - 2},
                        expert_color(e, experts), ui.theme.px(3));
    if (chosen == e || hovered) {
      list->AddRect({from.x - 1, from.y + 1}, {from.x + side - 3, from.y + side - 1}, ui.theme.mark,
                    ui.theme.px(3));
    }
    list->AddText({from.x + side + ui.theme.px(2), from.y},
                  ImGui::GetColorU32(chosen == e ? ImGuiCol_Text : ImGuiCol_TextDisabled), text.c_str());
  }
}

void export_button(Ui& ui, const char* label, const char* file, const MatrixView& view, const char* row,
                   const char* column) {
  if (ImGui::Button("Export")) ImGui::OpenPopup(label);
  tip("The numbers as CSV, the picture as PNG, or the routing of the whole run as NPZ");
  if (!ImGui::BeginPopup(label)) return;
  const auto base = std::string(file) + "-run" + std::to_string(ui.studio.selection.run);
  const auto ask = [&](const char* what, const std::string& path, auto write) {
    if (ImGui::MenuItem(what)) ui.saving = SaveDialog{what, path, write};
  };
  ask("Numbers (CSV)", base + ".csv", [values = view.values, row, column](const std::filesystem::path& path) {
    studio::save_csv(path, values, row, column);
  });
  ask("Picture (PNG)", base + ".png",
      [rgba = view.rgba](const std::filesystem::path& path) { studio::save_picture(path, rgba, 16); });
  ask("Routing of the run (NPZ)", base + ".npz",
      [&ui, run = ui.studio.selection.run](const std::filesystem::path& path) {
        if (const auto* found = ui.studio.run(run)) studio::save_run_routing(*found, path);
      });
  ImGui::EndPopup();
}

}  // namespace switchyard::gui

// Canvas: the image as it forms, its steps, the whole batch, and two runs against each other.
#include <ATen/ATen.h>
#include <imgui.h>

#include <algorithm>
#include <cmath>

#include "app/gui/studio/colors.h"
#include "app/gui/widgets.h"

namespace switchyard::gui {
namespace {

using studio::Run;

// Another run may have another number of steps: the same share of the way.
int64_t same_step(const Run& run, const Run& other, int64_t step) {
  if (run.steps() == other.steps() || run.steps() < 2) return std::min(step, other.steps() - 1);
  return std::lround(static_cast<double>(step) / static_cast<double>(run.steps() - 1) *
                     static_cast<double>(other.steps() - 1));
}

std::optional<Texture> picture(Ui& ui, const Run& run, int64_t image, int64_t step) {
  if (image >= static_cast<int64_t>(run.images.size())) return std::nullopt;
  const auto pixels = run.shown(image, step);
  if (!pixels.defined()) return std::nullopt;
  const auto name = "run " + std::to_string(run.id) + " image " + std::to_string(image);
  const auto version = run.version * 100'003 + static_cast<uint64_t>(step) + 1;
  return ui.textures.of(name, version, [&] { return studio::image_rgba(pixels); });
}

void toolbar(Ui& ui) {
  int mode = static_cast<int>(ui.canvas);
  const bool batch = ui.run && ui.run->images.size() > 1;
  constexpr const char *one = "One image of the run", *all = "All images of the run; click one to choose it";
  bool changed;
  if (ui.other) {
    changed = choice(ui, "mode", mode, {"One", "All", "A | B", "Wipe", "Difference"},
                     {one, all, "Both runs side by side",
                      "A left of a line that can be dragged, B right of it", "How far apart the pixels are"});
  } else {
    ImGui::BeginDisabled(!batch);
    changed = choice(ui, "mode", mode, {"One", "All"}, {one, all});
    ImGui::EndDisabled();
  }
  if (changed) ui.canvas = static_cast<CanvasMode>(mode);
  const bool drawn = ui.run && ui.run->finished(ui.studio.selection.image);
  const auto& style = ImGui::GetStyle();
  const auto width = [&](const char* text) { return ImGui::CalcTextSize(text).x + 2 * style.FramePadding.x; };
  const float right = width("Fit") + width("1:1") + width("Copy") + width("Save") + 3 * style.ItemSpacing.x;
  ImGui::SameLine();
  if (ImGui::GetContentRegionAvail().x < right) ImGui::NewLine();
  ImGui::SetCursorPosX(std::max(ImGui::GetCursorPosX(), ImGui::GetContentRegionMax().x - right));
  if (ImGui::Button("Fit")) ui.canvas_view = {};
  tip("As large as fits, by a whole number (double click)");
  ImGui::SameLine();
  if (ImGui::Button("1:1")) ui.canvas_view = {.zoom = 1};
  tip("One screen pixel per pixel; the wheel zooms");
  ImGui::SameLine();
  ImGui::BeginDisabled(!drawn);
  if (ImGui::Button("Copy")) copy_image(ui);
  tip("The image to the clipboard (Ctrl+C)");
  ImGui::SameLine();
  if (ImGui::Button("Save")) {
    const auto run = ui.studio.selection.run, image = ui.studio.selection.image;
    ui.saving = SaveDialog{
        "Save the image into the folder", ".",
        [&ui, run, image](const std::filesystem::path& folder) { ui.studio.save(run, folder, image); }};
  }
  ImGui::EndDisabled();
  tip("As a PNG that holds everything that made it");
}

float caption_height(const Ui& ui) { return ImGui::GetTextLineHeight() + ui.theme.px(4); }
float caption_width(const Ui& ui, const std::string& text) {
  return ImGui::CalcTextSize(text.c_str()).x + ui.theme.px(10);
}

// Inside the area, as near to `at` as it fits.
void caption(Ui& ui, const Placed& placed, ImVec2 at, const std::string& text) {
  auto* list = ImGui::GetWindowDrawList();
  const float width = caption_width(ui, text), height = caption_height(ui);
  at.x = std::clamp(at.x, placed.from.x, std::max(placed.from.x, placed.to.x - width));
  at.y = std::max(at.y, placed.from.y);
  list->AddRectFilled(at, {at.x + width, at.y + height}, IM_COL32(0, 0, 0, 150), ui.theme.px(3));
  list->AddText({at.x + ui.theme.px(5), at.y + ui.theme.px(2)}, IM_COL32(240, 240, 240, 255), text.c_str());
}

std::string caption_of(const char* letter, const Run& run) {
  const auto& recipe = run.request.recipe;
  std::string text = std::string(letter) + "  #" + std::to_string(run.id) + ", ";
  text += recipe.empty() ? "no edits" : studio::sentence_of(recipe.front());
  if (recipe.size() > 1) text += ", and " + std::to_string(recipe.size() - 1) + " more";
  return text;
}

// The region of an edit, painted on the image.
void brush(Ui& ui, const Placed& placed, float width) {
  auto& list = ui.studio.edits.list;
  if (!ui.brush || *ui.brush >= list.size() || !ui.run) return;
  auto& region = list[*ui.brush].edit.region;
  const auto tokens = ui.run->config.tokens();
  const auto side = std::llround(std::sqrt(static_cast<double>(tokens)));
  const float patch = width / static_cast<float>(side);
  auto* draw = ImGui::GetWindowDrawList();
  for (int64_t i = 0; i < static_cast<int64_t>(region.size()) && i < tokens; ++i) {
    if (!region[static_cast<size_t>(i)]) continue;
    const auto x = static_cast<float>(i % side), y = static_cast<float>(i / side);
    draw->AddRectFilled(placed.at(x * patch, y * patch), placed.at((x + 1) * patch, (y + 1) * patch),
                        IM_COL32(79, 156, 240, 110));
  }
  if (!placed.hovered && !placed.held) return;
  const auto mouse = placed.mouse();
  const auto column = static_cast<int64_t>(std::floor(mouse.x / patch)),
             row = static_cast<int64_t>(std::floor(mouse.y / patch));
  const int64_t reach = ui.brush_size;
  const auto low_x = std::max<int64_t>(0, column - reach + 1),
             high_x = std::min<int64_t>(side - 1, column + reach - 1);
  const auto low_y = std::max<int64_t>(0, row - reach + 1),
             high_y = std::min<int64_t>(side - 1, row + reach - 1);
  if (low_x > high_x || low_y > high_y) return;
  draw->AddRect(placed.at(static_cast<float>(low_x) * patch, static_cast<float>(low_y) * patch),
                placed.at(static_cast<float>(high_x + 1) * patch, static_cast<float>(high_y + 1) * patch),
                ui.theme.accent, 0, 0, ui.theme.px(2));
  if (!placed.held) return;
  const bool paint = !ImGui::GetIO().KeyShift;
  region.resize(static_cast<size_t>(tokens));
  for (auto y = low_y; y <= high_y; ++y) {
    for (auto x = low_x; x <= high_x; ++x) region[static_cast<size_t>(y * side + x)] = paint;
  }
  if (std::none_of(region.begin(), region.end(), [](bool b) { return b; }))
    region.clear();  // everywhere again
}

void one(Ui& ui, ImVec2 size) {
  const auto& selection = ui.studio.selection;
  const auto shown = picture(ui, *ui.run, selection.image, selection.step);
  const float width = shown ? static_cast<float>(shown->width) : 64,
              height = shown ? static_cast<float>(shown->height) : 64;
  const auto placed = image_area("image", ui.canvas_view, size, width, height, !ui.brush);
  auto* list = ImGui::GetWindowDrawList();
  list->PushClipRect(placed.from, placed.to, true);
  if (shown) {
    add_pixels(list, *shown, placed.origin, placed.at(width, height));
  } else {
    list->AddRect(placed.origin, placed.at(width, height), ui.theme.grid);
    const char* why = ui.run->status == Run::Status::queued    ? "waits for its turn"
                      : ui.run->status == Run::Status::drawing ? "the first step is on its way"
                                                               : "nothing was drawn";
    const auto words = ImGui::CalcTextSize(why), middle = placed.at(width / 2, height / 2);
    list->AddText({middle.x - words.x / 2, middle.y - words.y / 2}, ui.theme.quiet, why);
  }
  brush(ui, placed, width);
  list->PopClipRect();
}

void all(Ui& ui, ImVec2 size) {
  auto& selection = ui.studio.selection;
  const auto count = static_cast<int64_t>(ui.run->images.size());
  const float gap = ui.theme.px(4);
  // As many columns as make the images largest.
  int64_t columns = 1;
  float side = 0;
  for (int64_t c = 1; c <= count; ++c) {
    const auto rows = (count + c - 1) / c;
    const float fits = std::min((size.x - gap * static_cast<float>(c - 1)) / static_cast<float>(c),
                                (size.y - gap * static_cast<float>(rows - 1)) / static_cast<float>(rows));
    if (fits > side) side = fits, columns = c;
  }
  side = std::max(8.0f, std::floor(side));
  ImGui::BeginChild("images", size, 0, ImGuiWindowFlags_NoBackground);
  const auto start = ImGui::GetCursorScreenPos();
  auto* list = ImGui::GetWindowDrawList();
  for (int64_t i = 0; i < count; ++i) {
    const ImVec2 from{start.x + (side + gap) * static_cast<float>(i % columns),
                      start.y + (side + gap) * static_cast<float>(i / columns)};
    const ImVec2 to{from.x + side, from.y + side};
    ImGui::SetCursorScreenPos(from);
    if (ImGui::InvisibleButton(("image " + std::to_string(i)).c_str(), {side, side})) selection.image = i;
    if (ImGui::IsItemHovered()) {
      ImGui::SetTooltip("%s", ui.run->title(i).c_str());
      if (ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) ui.canvas = CanvasMode::one;
    }
    if (const auto shown = picture(ui, *ui.run, i, selection.step)) {
      add_pixels(list, *shown, from, to);
    } else {
      list->AddRect(from, to, ui.theme.grid);
    }
    if (i == selection.image) list->AddRect(from, to, ui.theme.accent, 0, 0, ui.theme.px(2));
  }
  ImGui::EndChild();
}

// Both runs: beside one another, or below where that makes them larger; or one picture cut by a line.
void two(Ui& ui, ImVec2 size) {
  const auto& selection = ui.studio.selection;
  const auto a = picture(ui, *ui.run, selection.image, selection.step);
  const auto images = static_cast<int64_t>(ui.other->images.size());
  const auto b = picture(ui, *ui.other, std::min(selection.image, images - 1),
                         same_step(*ui.run, *ui.other, selection.step));
  const auto width = static_cast<float>(a ? a->width : 64), height = static_cast<float>(a ? a->height : 64);
  const bool wipe = ui.canvas == CanvasMode::wipe;
  const float gap = wipe ? 0 : std::max(1.0f, width / 32);
  const bool below = !wipe && std::min(size.x / width, size.y / (2 * height + gap)) >
                                  std::min(size.x / (2 * width + gap), size.y / height);
  const float b_x = wipe || below ? 0 : width + gap, b_y = below ? height + gap : 0;
  const auto placed = image_area("image", ui.canvas_view, size, b_x + width, b_y + height, !wipe);
  if (wipe && placed.held) ui.wipe = std::clamp(placed.mouse().x / width, 0.0f, 1.0f);
  const float cut = wipe ? ui.wipe : 1, from = wipe ? ui.wipe : 0;  // A is drawn up to `cut`, B from `from`
  auto* list = ImGui::GetWindowDrawList();
  list->PushClipRect(placed.from, placed.to, true);
  if (a) add_pixels(list, *a, placed.origin, placed.at(width * cut, height), {0, 0}, {cut, 1});
  if (b)
    add_pixels(list, *b, placed.at(b_x + width * from, b_y), placed.at(b_x + width, b_y + height), {from, 0},
               {1, 1});
  if (wipe) {
    const float x = placed.at(width * cut, 0).x;
    list->AddLine({x, placed.from.y}, {x, placed.to.y}, IM_COL32(0, 0, 0, 160), ui.theme.px(4));
    list->AddLine({x, placed.from.y}, {x, placed.to.y}, IM_COL32(255, 255, 255, 230), ui.theme.px(2));
  }
  const auto left = caption_of("A", *ui.run), right = caption_of("B", *ui.other);
  const float line = caption_height(ui) + ui.theme.px(2), above = placed.origin.y - line;
  auto right_at = placed.at(b_x, b_y);
  if (wipe) right_at.x = placed.at(width, 0).x - caption_width(ui, right);
  if (!below) right_at.y = above;
  const bool touch =
      !below && placed.origin.x + caption_width(ui, left) >
                    std::min(right_at.x, placed.to.x - caption_width(ui, right)) - ui.theme.px(4);
  caption(ui, placed, {placed.origin.x, touch ? above - line : above}, left);
  caption(ui, placed, right_at, right);
  list->PopClipRect();
}

void difference(Ui& ui, ImVec2 size) {
  const auto& selection = ui.studio.selection;
  const auto a = ui.run->shown(selection.image, selection.step);
  const auto b = selection.image < static_cast<int64_t>(ui.other->images.size())
                     ? ui.other->shown(selection.image, same_step(*ui.run, *ui.other, selection.step))
                     : at::Tensor();
  if (!a.defined() || !b.defined() || a.sizes() != b.sizes()) {
    return nothing_here(ui, "Both images have to be there, and of the same size.");
  }
  const auto* view = ui.pixels.of(ui.key(), [&] {
    auto matrix = matrix_view(studio::pixel_difference(a, b).to(at::kFloat), false);
    matrix.high = std::max(matrix.high, 1.0);
    return matrix;
  });
  if (!view) return nothing_here(ui, ui.pixels.error());
  const float legend_height = 3 * ImGui::GetTextLineHeight();
  const auto width = static_cast<float>(a.size(1)), height = static_cast<float>(a.size(0));
  const auto placed = image_area("image", ui.canvas_view, {size.x, size.y - legend_height}, width, height);
  const auto texture = ui.textures.of("difference", ui.pixels.version(), [&] { return view->rgba; });
  auto* list = ImGui::GetWindowDrawList();
  list->PushClipRect(placed.from, placed.to, true);
  add_pixels(list, texture, placed.origin, placed.at(width, height));
  list->PopClipRect();
  const auto mean = view->values.mean().item<double>();
  legend(ui, *view, ("difference of the pixels (of 255), mean " + number(mean)).c_str());
}

}  // namespace

void canvas_panel(Ui& ui) {
  if (!ui.run) {
    return nothing_here(ui, ui.studio.opening() ? "Opening the model..."
                                                : "Press Ctrl+Enter to draw.\n\nDrop a model, a folder or a "
                                                  "PNG of ours on the window to open it.");
  }
  toolbar(ui);
  auto size = ImGui::GetContentRegionAvail();
  const float below = ImGui::GetFrameHeightWithSpacing() + ImGui::GetTextLineHeightWithSpacing();
  size.y = std::max(size.y - below, ui.theme.px(40));
  const auto start = ImGui::GetCursorPos();
  switch (ui.canvas) {
    case CanvasMode::one:
      one(ui, size);
      break;
    case CanvasMode::all:
      all(ui, size);
      break;
    case CanvasMode::side_by_side:
    case CanvasMode::wipe:
      two(ui, size);
      break;
    case CanvasMode::difference:
      difference(ui, size);
      break;
  }
  ImGui::SetCursorPos({start.x, start.y + size.y + ImGui::GetStyle().ItemSpacing.y});
  const auto title =
      ui.brush ? "Paint the region; Shift erases; Esc ends" : ui.run->title(ui.studio.selection.image);
  ImGui::TextDisabled("%s", title.c_str());
  if (ImGui::ArrowButton("play", ui.playing ? ImGuiDir_Down : ImGuiDir_Right)) toggle_play(ui);
  tip("Plays the steps (Space)");
  ImGui::SameLine();
  step_slider(ui);
}

}  // namespace switchyard::gui

#include "app/gui/image_area.h"

#include <algorithm>
#include <cmath>

namespace switchyard::gui {
namespace {

float next_zoom(float zoom, bool in) {
  constexpr float kLevels[] = {0.125f, 0.25f, 0.5f, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64};
  if (in) {
    for (const float level : kLevels) {
      if (level > zoom * 1.001f) return level;
    }
    return std::end(kLevels)[-1];
  }
  for (auto level = std::rbegin(kLevels); level != std::rend(kLevels); ++level) {
    if (*level < zoom * 0.999f) return *level;
  }
  return kLevels[0];
}

float fitting_zoom(ImVec2 size, float width, float height) {
  const float zoom = std::min(size.x / width, size.y / height);
  return zoom >= 1 ? std::floor(zoom) : zoom;
}

}  // namespace

ImVec2 Placed::mouse() const {
  const auto mouse = ImGui::GetMousePos();
  return {(mouse.x - origin.x) / zoom, (mouse.y - origin.y) / zoom};
}

Placed image_area(const char* label, ImageView& view, ImVec2 size, float width, float height,
                  bool drag_left) {
  size = {std::max(size.x, 16.0f), std::max(size.y, 16.0f)};
  ImGui::InvisibleButton(label, size, ImGuiButtonFlags_MouseButtonLeft | ImGuiButtonFlags_MouseButtonMiddle);
  Placed placed;
  placed.from = ImGui::GetItemRectMin(), placed.to = ImGui::GetItemRectMax();
  placed.hovered = ImGui::IsItemHovered(), placed.held = ImGui::IsItemActive();
  const auto place = [&] {
    placed.zoom = view.zoom > 0 ? view.zoom : fitting_zoom(size, width, height);
    placed.origin = {std::round((placed.from.x + placed.to.x) / 2 - view.center.x * width * placed.zoom),
                     std::round((placed.from.y + placed.to.y) / 2 - view.center.y * height * placed.zoom)};
  };
  place();

  auto& io = ImGui::GetIO();
  const auto move = [&](float dx, float dy) {
    view.center.x = std::clamp(view.center.x - dx / (width * placed.zoom), 0.0f, 1.0f);
    view.center.y = std::clamp(view.center.y - dy / (height * placed.zoom), 0.0f, 1.0f);
  };
  if (placed.hovered) {
    ImGui::SetItemKeyOwner(ImGuiKey_MouseWheelY);
    if (io.MouseWheel != 0) {
      const auto before = placed.mouse();
      view.zoom = next_zoom(placed.zoom, io.MouseWheel > 0);
      place();
      const auto now = placed.mouse();
      move((now.x - before.x) * placed.zoom, (now.y - before.y) * placed.zoom);
    }
    if (drag_left && ImGui::IsMouseDoubleClicked(ImGuiMouseButton_Left)) view = {};
  }
  const bool dragged = placed.held && (ImGui::IsMouseDragging(ImGuiMouseButton_Middle) ||
                                       (drag_left && ImGui::IsMouseDragging(ImGuiMouseButton_Left)));
  if (dragged && view.zoom > 0) move(io.MouseDelta.x, io.MouseDelta.y);
  place();
  placed.clicked = placed.hovered && ImGui::IsMouseReleased(ImGuiMouseButton_Left) &&
                   io.MouseDragMaxDistanceSqr[0] < io.MouseDragThreshold * io.MouseDragThreshold;
  return placed;
}

}  // namespace switchyard::gui

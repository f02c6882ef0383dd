// A part of a panel in which pictures are looked at: they can be zoomed, by whole numbers where they are enlarged, and moved.
#pragma once

#include <imgui.h>

namespace switchyard::gui {

struct ImageView {
  float zoom = 0;             // screen pixels per picture pixel; 0: as large as fits
  ImVec2 center{0.5f, 0.5f};  // of the picture, 0 .. 1: what lies in the middle of the area
};

/// Where a picture lies on the screen.
struct Placed {
  ImVec2 from, to;  // of the area
  ImVec2 origin;    // of the picture's top left corner, whole pixels
  float zoom = 1;
  bool hovered = false, clicked = false,
       held = false;  // by the left button, without moving; held with moving too

  ImVec2 at(float x, float y) const { return {origin.x + x * zoom, origin.y + y * zoom}; }
  ImVec2 mouse() const;  // in the picture's pixels
};

/// Takes the area, of an item with this label, for a picture of width x height pixels. Wheel: zoom about the mouse; drag
/// (the left button only where `drag_left`): move; double click: fit.
Placed image_area(const char* label, ImageView& view, ImVec2 size, float width, float height,
                  bool drag_left = true);

}  // namespace switchyard::gui

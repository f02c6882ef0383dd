// How it looks: colours, typeface, distances, and one scale for all of them.
#pragma once

#include <imgui.h>

#include <string>

namespace switchyard::gui {

struct Theme {
  std::string name = "dark";  // or "light"
  float scale = 1;            // 1: a text of 15 pixels

  // What Dear ImGui's own colours have no name for.
  ImU32 accent = 0, quiet = 0, grid = 0, good = 0, warning = 0, error = 0, mark = 0, shade = 0;
  ImFont *regular = nullptr, *semibold = nullptr;

  float px(float pixels) const { return pixels * scale; }
};

/// Sets all of Dear ImGui's style; loads the typeface once. "light", or else dark; scale 0.5 .. 4.
void apply_theme(Theme& theme, const std::string& name, double scale);

}  // namespace switchyard::gui

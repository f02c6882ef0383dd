// Where the panels lie, and where that is remembered.
#pragma once

#include <imgui.h>

#include <filesystem>

namespace switchyard::gui {

/// The dock space between menu and status bar, with the panels where they are at first unless a layout was loaded; True:
/// they have just been put there.
bool dock_space(bool reset);

/// Dear ImGui's own file, beside what the studio remembers; empty paths do nothing. A file that cannot be read is no layout.
void load_layout(const std::filesystem::path& file);
void save_layout(const std::filesystem::path& file);

}  // namespace switchyard::gui

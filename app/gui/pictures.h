// Pictures of the app, taken by itself: what the README shows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "app/gui/app.h"

namespace switchyard::gui {

/// Lets the app run until `done`; false: somebody closed it.
template <class Condition>
bool run_until(App& app, Condition done) {
  while (!app.window.closing()) {
    app.turn();
    if (done()) return true;
  }
  return false;
}

/// What a picture looks at.
struct View {
  std::string panel;                         // brought to the front; empty: as it is
  std::optional<int64_t> layer, step, mute;  // mute: this expert of the layer, and draw again beside
};

/// Both wait until all is drawn, and write a file whole or not at all. False: somebody closed the window, or drawing
/// failed, see studio.status(). Throw io::OutputError.
bool take_picture(App& app, const View& view, const std::filesystem::path& file);

/// Moving: from now on, while everything that waits is drawn; then its strongest expert is muted and the same image
/// drawn beside. As an animated PNG.
bool take_animation(App& app, const std::filesystem::path& file);

}  // namespace switchyard::gui

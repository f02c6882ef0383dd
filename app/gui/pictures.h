// Pictures of the app, taken by itself: what the README shows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

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
  std::string panel;  // of kPictured; brought to the front, what it measures measured before; empty: as it is
  std::optional<int64_t> layer, step, expert, patch,
      mute;  // mute: this expert of the layer, and draw again beside
};

/// What there are pictures of: the panels, and the gate of a model that routes timesteps, a face of the timestep map.
inline constexpr const char *kGate = "Gate",
                            *kPictured[] = {kGenerate, kCanvas,  kPatchMap, kTimestepMap, kAtlas,
                                            kFlow,     kPatches, kWhatIf,   kContent,     kRank,
                                            kGate,     kGallery, kQueue,    kSurgery};

/// All of them wait until all is drawn, and write files whole or not at all. False: somebody closed the window, or
/// drawing or measuring failed, see studio.status(). Throw io::OutputError.
bool take_picture(App& app, const View& view, const std::filesystem::path& file);

/// A window of so many pixels, and the scale of everything in it.
struct Screen {
  int width = 0, height = 0;
  double scale = 1;
};

/// Every panel that the model has a use for, on every screen in its first layout: folder/patch-map-1280x800-1x.png.
bool take_pictures(App& app, View view, const std::vector<Screen>& screens,
                   const std::filesystem::path& folder);

/// Moving: from now on, while everything that waits is drawn; then its strongest expert is muted and the same image
/// drawn beside. As an animated PNG.
bool take_animation(App& app, const std::filesystem::path& file);

}  // namespace switchyard::gui

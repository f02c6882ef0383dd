// What panels work with: the studio, which knows everything that is so, and what only the screen knows.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/gui/clipboard.h"
#include "app/gui/image_area.h"
#include "app/gui/studio/album.h"
#include "app/gui/studio/studio.h"
#include "app/gui/studio/thumbnails.h"
#include "app/gui/textures.h"
#include "app/gui/theme.h"
#include "app/gui/view_cache.h"

namespace switchyard::gui {

enum class CanvasMode { one, all, side_by_side, wipe, difference };
enum class PatchShows { expert, margin, changed };  // expert: the selected one, or the winner

/// A file to be written: the dialog asks where, `write` does it.
struct SaveDialog {
  std::string title, path;
  std::function<void(const std::filesystem::path&)> write;
};

/// Atlas, with the two numbers of each layer.
struct AtlasView {
  MatrixView loads;
  at::Tensor entropy, imbalance;
  std::vector<pipeline::Dormant> dormant;
};

/// Map of patches, and what the tooltip says of each.
struct PatchView {
  MatrixView map;             // [side, side]
  at::Tensor experts;         // [T] int64, of the winner; else undefined
  at::Tensor table, weights;  // [T, E] probabilities, where they are known; gate weights
};

struct Ui {
  explicit Ui(studio::Studio& of) : studio(of) {}

  studio::Studio& studio;
  std::function<void()> wake = {};  // from any thread: there is something new to draw
  Theme theme;
  Textures textures;
  Clipboard clipboard;

  // Of this frame, what the selection means; null: nothing yet.
  const studio::Run *run = nullptr, *other = nullptr;
  const pipeline::RoutingRecord *record = nullptr, *other_record = nullptr;

  std::vector<std::function<void()>> later;  // done after the frame: what takes away runs that panels look at
  bool reset_layout = false, keys = false, quit = false;
  int frames_to_front = 0;
  bool wants_frames = false;                                     // something moves by itself
  std::optional<std::chrono::steady_clock::time_point> playing;  // since when this step is shown
  std::optional<SaveDialog> saving;
  bool opening = false;   // the dialog for models
  std::string open_path;  // in it

  // Panels' own.
  std::string class_filter;
  bool gallery_of_folder = false, gallery_focused = false;  // focused: the arrows are its own
  std::string folder_path;                                  // as typed
  std::unique_ptr<studio::Thumbnails> folder;               // of the gallery
  int64_t folder_file = -1;                                 // chosen in it
  uint64_t folder_version = 0;                              // grows with every folder
  CanvasMode canvas = CanvasMode::one;
  ImageView canvas_view, patch_view;
  float wipe = 0.5f;
  PatchShows patch_shows = PatchShows::expert;
  int gate_shows = 0;               // of the timestep map, 0: the run, 1: the gate of a block, 2: of all
  int flow_to_step = 0;             // 0: to the next layer, 1: to the next step
  int rank_layer = 0, rank_by = 0;  // 0: of all layers, 1: of this; 0: by pixels, 1: by choices
  int content_shows = 0;            // 0: shifted, 1: mirrored
  bool patches_predicted = false, patches_around = true;
  std::optional<size_t> edit, brush;  // which edit is open, and painted
  int brush_size = 1;
  ViewCache<PatchView> patches;
  ViewCache<MatrixView> path, timesteps, gate, flow, pixels, rank, content;
  studio::Album album;
  ViewCache<AtlasView> atlas;
  double frame_ms = 0, steps_per_second = 0, memory_mib = 0;
  std::chrono::steady_clock::time_point memory_read = {};

  ViewKey key(int choice = 0) const;
};

/// Everything inside a frame.
void frame(Ui& ui);
void toggle_play(Ui& ui);
void copy_image(Ui& ui);  // what the canvas shows of the selected run, to the clipboard

// The panels, by the names that they have on the screen.
inline constexpr const char *kGenerate = "Generate", *kQueue = "Queue", *kCanvas = "Canvas",
                            *kGallery = "Gallery", *kPatchMap = "Patch map", *kTimestepMap = "Timestep map",
                            *kAtlas = "Atlas", *kFlow = "Flow", *kSurgery = "Surgery", *kRank = "Rank",
                            *kPatches = "Patches of an expert", *kWhatIf = "What if",
                            *kContent = "Content or place";
void generate_panel(Ui& ui);
void queue_panel(Ui& ui);
void canvas_panel(Ui& ui);
void gallery_panel(Ui& ui);
void patch_map_panel(Ui& ui);
void timestep_map_panel(Ui& ui);
void gate_map(Ui& ui, bool all_blocks);  // a part of the timestep map
void atlas_panel(Ui& ui);
void flow_panel(Ui& ui);
void surgery_panel(Ui& ui);
void rank_panel(Ui& ui);
void patches_panel(Ui& ui);
void what_if_panel(Ui& ui);
void content_panel(Ui& ui);
void dialogs(Ui& ui);

}  // namespace switchyard::gui

// What does an expert draw: the patches that chose it most strongly, over everything drawn in this run of the program.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <list>
#include <map>
#include <vector>

#include "app/gui/studio/run.h"
#include "pipeline/routing_views.h"

namespace switchyard::studio {

struct AlbumPatch {
  int64_t run = -1;  // its id
  pipeline::StrongPatch patch;
};

/// Which expert, and of which model.
struct ExpertOf {
  std::string model;
  pipeline::Router router = pipeline::Router::tokens;
  pipeline::Half half = pipeline::Half::conditional;
  int64_t layer = 0, expert = 0;

  bool operator==(const ExpertOf&) const = default;
};

/// Looks at a run again only when it has changed.
class Album {
 public:
  /// At most `count`, the strongest first, of the finished images of that model's runs; a patch of an image once. Of the
  /// difference of halves there are none.
  std::vector<AlbumPatch> of(const std::list<Run>& runs, const ExpertOf& whom, size_t count);

 private:
  struct Seen {
    uint64_t version;
    std::vector<AlbumPatch> patches;
  };
  ExpertOf whom_;
  size_t count_ = 0;
  std::map<int64_t, Seen> seen_;  // by the run's id
};

/// A patch cut out, with so many patches around it, as far as the image goes: always a square of 1 + 2 * around patches,
/// or all of the image.
struct Crop {
  at::Tensor pixels;       // [h, w, C]: a view
  int64_t x = 0, y = 0;    // of the patch in it, pixels
  int64_t patch_size = 0;  // pixels
};
/// image [H, W, C] of side x side patches.
Crop crop_of(const at::Tensor& image, int64_t patch, int64_t side, int64_t around);

}  // namespace switchyard::studio

// Draws what a set of images lacks.
#pragma once

#include <cstdint>

#include "pipeline/draw_plan.h"
#include "pipeline/image_set.h"

namespace switchyard::pipeline {

/// One of `of` processes that fill a set together: every of-th image is its.
struct Shard {
  int64_t index = 0, of = 1;  // index from 0
  bool has(size_t image) const { return static_cast<int64_t>(image) % of == index; }
};

struct FillOptions {
  Shard shard = {};
  int64_t batch_size = 16;
};

/// Draws the shard's images that `set`, begun with `plan`, has not. Each file is written as soon as its image is drawn,
/// by a thread of its own; when cancelled, what was drawn before is written. Throws as draw_plan(), and io::OutputError.
PlanDrawn fill(Session& session, const ImagePlan& plan, const ImageSet& set, const FillOptions& options,
               const PlanObserver& observer = {});

}  // namespace switchyard::pipeline

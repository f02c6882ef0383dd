// What the commands that draw or pack sets of images tell the person who waits.
#pragma once

#include <filesystem>
#include <vector>

#include "app/cli/progress.h"
#include "pipeline/draw_plan.h"
#include "pipeline/image_set.h"

namespace switchyard::app {

/// Stops at Ctrl-C, and says when batches become smaller; progress is the caller's to add.
pipeline::PlanObserver plan_observer(Progress& progress);

/// pipeline::pack() with a line of progress. Throws Cancelled.
void pack(const std::vector<std::filesystem::path>& files,
          const std::vector<pipeline::ImageSet::Entry>& entries, const std::filesystem::path& npz,
          Progress& progress);

}  // namespace switchyard::app

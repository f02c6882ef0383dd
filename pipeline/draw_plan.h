// Draws the images of a plan, thousands of them, whatever becomes of each.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "pipeline/image_plan.h"
#include "pipeline/session.h"

namespace switchyard::pipeline {

/// How far it is.
struct PlanProgress {
  int64_t images = 0, there = 0;  // in all, and before this began
  double drawn = 0;               // since, with the part of the batch that is being drawn
  double seconds = 0;

  double done() const { return (static_cast<double>(there) + drawn) / static_cast<double>(images); }
  int64_t whole() const { return there + static_cast<int64_t>(drawn); }
  double seconds_left() const {
    return drawn > 0 ? seconds / drawn * (static_cast<double>(images - there) - drawn) : 0;
  }
};

/// Any of them may be empty. They are called on the thread that draws; answering false cancels.
struct PlanObserver {
  std::function<bool(const PlanProgress&)> progress = {};
  std::function<bool(const StepRouting&)> routing = {};
  std::function<void(int64_t batch_size)> smaller_batches = {};  // memory ran out: what it goes on with
  std::function<bool()> stop = {};                               // as Observer::stop
};

/// One image of a plan: its index there, its pixels, and, when asked for, the text entries of its PNG.
using PlanImage =
    std::function<void(size_t image, const at::Tensor& pixels, const std::function<io::TextEntries()>& text)>;

struct PlanDrawn {
  bool cancelled = false;
  PlanProgress progress;   // `drawn` are whole images
  int64_t batch_size = 0;  // in the end
};

/// Draws `images` of the plan, in order, and hands each to `done` on the thread that draws; the others count as there. A
/// cancelled batch is dropped. Where memory runs out, the batch is halved, with the same pixels (see session.h). Throws as
/// Session::draw(), and what `done` throws.
PlanDrawn draw_plan(Session& session, const ImagePlan& plan, const std::vector<size_t>& images, int64_t there,
                    int64_t batch_size, const PlanImage& done, const PlanObserver& observer = {});

}  // namespace switchyard::pipeline

// A run: one request, what has been drawn of it, and how its routing went.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/gui/studio/studies.h"
#include "app/gui/studio/worker.h"
#include "dit/config.h"
#include "io/png.h"
#include "pipeline/request.h"
#include "pipeline/routing_record.h"

namespace switchyard::studio {

/// Belongs to the UI thread; grows by apply() from the worker's events.
struct Run {
  enum class Status { queued, drawing, done, cancelled, failed };

  struct Picture {
    at::Tensor pixels;     // [H, W, C] uint8; undefined until it is done
    at::Tensor latent;     // [C, h, w] fp32: what the model drew, see pipeline::ImageFinished
    io::TextEntries text;  // of its PNG
    std::vector<at::Tensor>
        previews;  // per step, [h, w, C] uint8: the clean image as predicted there; undefined until
                   // the step is done, and where memory allowed only some, see preview_at()
    int steps_done = 0;

    bool finished() const { return pixels.defined(); }
  };

  /// Makes room; where the routing is too large to be kept, `message` says so and `records` is empty.
  Run(int64_t id, pipeline::Request request, const OpenedModel& model);

  int64_t id = 0;
  pipeline::Request request;
  dit::ModelConfig config;
  std::string model;                                   // its name
  std::shared_ptr<const pipeline::TimestepGate> gate;  // of a model that routes timesteps
  std::vector<double> times;  // noise fraction at which each step begins: 1 (noise) falling towards 0
  int64_t beside = -1;        // the run that this one was drawn again from, with other edits; -1: none

  std::vector<Picture> images;                   // as in the request
  std::vector<pipeline::RoutingRecord> records;  // of each router that the model has, the tokens' first

  Studies studies;  // what was measured of it since

  Status status = Status::queued;
  std::string message;                   // why it failed, or what is missing; in plain words
  double progress = 0;                   // 0 .. 1
  double seconds = 0, seconds_left = 0;  // since drawing began; estimate, 0 while unknown
  uint64_t version = 0;                  // grows with every change: what textures are cached by

  int64_t steps() const { return static_cast<int64_t>(times.size()); }
  bool ended() const { return status != Status::queued && status != Status::drawing; }
  bool finished(int64_t image) const { return images.at(static_cast<size_t>(image)).finished(); }

  /// The record of a router, or null.
  const pipeline::RoutingRecord* record(pipeline::Router router) const;

  /// The image in numbers, as steps predict it [C, h, w] fp32 in about [-1, 1]; of latents, in their colours. Undefined
  /// while it is not finished, and where it was let go.
  at::Tensor final_prediction(int64_t image) const;

  /// The latest preview at `step` or before it that was kept; undefined where there is none.
  at::Tensor preview_at(int64_t image, int64_t step) const;

  /// What the canvas shows: the finished image after the last step, else a preview. Undefined: nothing yet.
  at::Tensor shown(int64_t image, int64_t step) const;

  /// "box frame, seed 7" of an image; "#3 box frame, seeds 7 to 10" of the run.
  std::string title(int64_t image) const;
  std::string title() const;

  /// What previews and routing take. lighten() lets go of them; `message` says so, the images stay.
  int64_t bytes() const;
  void lighten();

  /// Takes in an event about this run.
  void apply(StepShown& event);
  void apply(const RoutingSeen& event);
  void apply(ImageDrawn& event);
  void apply(const DecodingSeen& event);
  void apply(const RunEnded& event);
  void begin();

 private:
  void proceed(double done, double seconds);

  int keep_every_ = 1;  // of the previews, so that they stay below 512 MiB
};

/// Mean absolute difference of the channels -> [H, W] uint8. Throws std::invalid_argument for images of unequal size.
at::Tensor pixel_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace switchyard::studio

// Class to image: model, guidance and solver together, with events for whoever wants to watch.
//
// The same (model, class, seed, settings) gives the same pixels whatever the batch size and whoever is
// watching.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "dit/transformer.h"
#include "sampler/guidance.h"
#include "sampler/solvers.h"

namespace switchyard::pipeline {

/// How images are drawn; the same for every image of a request.
struct Settings {
  sampler::Solver solver = sampler::Solver::euler;
  int steps = 25;
  double shift = 1.0;  // of the time grid: more than 1 spends more steps near the noise
  sampler::Guidance guidance{.scale = 2.0};
};

/// One image to draw.
struct Image {
  int64_t label = 0;  // 0 .. num_classes - 1, or num_classes for no class
  uint64_t seed = 0;
};

struct Request {
  std::vector<Image> images = {};
  Settings settings = {};
  int64_t batch_size = 16;  // images drawn at a time: speed and memory, never pixels
};

/// A step of one batch is done. Times in seconds since generate() began.
struct StepDone {
  int64_t first_image = 0, images = 0;  // which images of the request
  int step = 0, steps = 0;              // 0-based
  double t = 0;                         // where the step began
  at::Tensor preview;                   // [images, C, H, W] fp32: the clean images as predicted at t
  double seconds = 0;
};

/// One block has routed the tokens of one batch. A solver that evaluates the model twice per step reports
/// both.
struct LayerRouting {
  int64_t first_image = 0, images = 0;
  int step = 0, evaluation = 0;  // evaluation of this step: 0, then 1 for Heun's corrector or the midpoint
  double t = 0;
  int64_t layer = 0;
  bool conditional = true;  // with the class, or the unconditional half of guidance
  at::Tensor experts;       // [images, T, k] int64
  at::Tensor gate_weights;  // [images, T, k] fp32
};

struct ImageFinished {
  int64_t image = 0;  // index in the request
  at::Tensor pixels;  // [H, W, C] uint8
  double seconds = 0;
};

/// Any of them may be empty, which costs nothing. Returning false cancels within one step.
struct Observer {
  std::function<bool(const StepDone&)> step_done = {};
  std::function<bool(const LayerRouting&)> routing = {};
  std::function<bool(const ImageFinished&)> image_finished = {};
};

/// Draws the images of the request in order. False: the observer cancelled.
/// Throws std::invalid_argument for a label outside 0 .. num_classes or settings out of range.
bool generate(const dit::DiffusionTransformer& model, const Request& request, const Observer& observer);

/// [C, H, W] fp32 in [-1, 1] -> [H, W, C] uint8, rounded to nearest.
at::Tensor to_pixels(const at::Tensor& image);

}  // namespace switchyard::pipeline

// What happens while images are drawn, for whoever wants to watch. Every event owns its data: it can be kept, or
// sent to another thread.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "pipeline/recipe.h"

namespace switchyard::pipeline {

/// A step of one batch is done. Times in seconds since draw() began.
struct StepDone {
  int64_t first_image = 0, images = 0;  // which images of the request
  int step = 0, steps = 0;              // 0-based
  double t = 0;                         // where the step began
  at::Tensor preview;  // [images, C, h, w] fp32 on the CPU, about [-1, 1]: the clean images as predicted at t; of
                       // latents, their colours at the latents' size. Undefined unless Observer::previews
  double seconds = 0;
  double done = 0;  // share of the request's work, 0 .. 1: by count of operations, decoding among them
};

/// What the routers of one evaluation of the model did, for one half of guidance of one batch. A solver that
/// evaluates the model twice per step reports both.
struct StepRouting {
  int64_t first_image = 0, images = 0;
  int step = 0, evaluation = 0;  // evaluation of this step: 0, then 1 for Heun's corrector or the midpoint
  double t = 0;
  bool conditional = true;  // with the class, or the other half of guidance: without it, or with fewer experts

  /// [layers, images, T, E] fp32 on the CPU (T is 1 for timesteps; E the most experts of any layer); undefined
  /// where the model has no such router.
  struct Of {
    at::Tensor gate_weights;   // 0 where an expert was not chosen
    at::Tensor probabilities;  // undefined unless Observer::probabilities
  };
  Of tokens, timesteps;

  const Of& of(Router router) const { return router == Router::tokens ? tokens : timesteps; }
};

/// A part of an image's latent is decoded.
struct Decoding {
  int64_t image = 0;  // index in the request
  double part = 0;    // of this latent, 0 .. 1
  double done = 0;    // of the request's work, as StepDone has it
};

struct ImageFinished {
  int64_t image = 0;  // index in the request
  at::Tensor pixels;  // [H, W, C] uint8
  double seconds = 0;
  at::Tensor latent = {};  // [C, h, w] fp32 on the CPU: what the model drew, of which `pixels` were made
};

/// Any of them may be empty, which costs nothing; none changes a pixel. They are called on the thread that
/// draws, and answering false cancels.
struct Observer {
  std::function<bool(const StepDone&)> step_done = {};
  std::function<bool(const StepRouting&)> routing = {};
  std::function<bool(const ImageFinished&)> image_finished = {};
  std::function<bool(const Decoding&)> decoding = {};

  bool previews = false;       // StepDone::preview is wanted
  bool probabilities = false;  // StepRouting's probabilities are wanted

  /// Asked before every block of the model, from any thread: true cancels within the time of one.
  std::function<bool()> stop = {};
};

}  // namespace switchyard::pipeline

// Class to image: model, guidance and solver together, with events for whoever wants to watch.
//
// The same (model, class, seed, settings) gives the same pixels whatever the batch size and whoever is
// watching (on the CPU; a GPU's products may be summed in another order in another batch).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dit/transformer.h"
#include "sampler/edm.h"
#include "sampler/grid.h"
#include "sampler/guidance.h"
#include "sampler/solvers.h"
#include "vae/autoencoder.h"

namespace switchyard::pipeline {

/// How images are drawn; the same for every image of a request. What a model's schedule has no use for must
/// stay at its default.
struct Settings {
  sampler::Solver solver = sampler::Solver::euler;
  int steps = 25;
  std::string spacing =
      "";              // discrete schedules: see sampler::GridSettings; a list of counts replaces `steps`
  double shift = 1.0;  // rectified flow: more than 1 spends more steps near the noise
  double eta = 0;      // ddim
  sampler::Churn churn = {};                 // edm_heun
  double sigma_min = 0.002, sigma_max = 80;  // edm
  double rho = 7;                            // edm
  double clip = 0;                           // above 0: predicted clean images are kept within -clip .. clip
  sampler::Guidance guidance{.scale = 2.0};
  int64_t weak_experts =
      0;  // above 0: autoguidance, away from the same class's image with so many experts per token
};

/// The steps that these settings mean for a model. Throws std::invalid_argument for settings out of range or
/// that the model's schedule has no use for.
std::vector<sampler::Step> steps_of(const dit::ModelConfig& config, const Settings& settings);

/// The same weights, with fewer experts per token: Request::weaker. Shares the tensors of `model` and packs
/// its own. Throws std::invalid_argument unless 1 <= experts_per_token <= the model's.
dit::DiffusionTransformer weaker_model(dit::DiffusionTransformer& model, int64_t experts_per_token);

/// Everything that draws: the transformer and, of a latent model, the decoder of its latents. Both must
/// outlive it.
struct Model {
  const dit::DiffusionTransformer& transformer;
  const vae::Autoencoder* decoder = nullptr;

  Model(const dit::DiffusionTransformer& in_pixels) : transformer(in_pixels) {}  // NOLINT: meant to convert
  Model(const dit::DiffusionTransformer& of_latents, const vae::Autoencoder* of_images)
      : transformer(of_latents), decoder(of_images) {}
};

/// One image to draw.
struct Image {
  int64_t label = 0;  // 0 .. num_classes - 1, or num_classes for no class
  uint64_t seed = 0;
};

struct Request {
  std::vector<Image> images = {};
  Settings settings = {};
  /// Images drawn at a time: speed and memory, never pixels. Besides the activations, up to 256 MiB on the CPU
  /// (with autoguidance twice that) hold what the model makes of every time and class of a batch.
  int64_t batch_size = 16;
  const dit::DiffusionTransformer* weaker = nullptr;  // needed with Settings::weak_experts
  int64_t decode_memory =
      int64_t{2} << 30;  // bytes above which a latent is decoded in bands: memory, never seams
};

/// A step of one batch is done. Times in seconds since generate() began.
struct StepDone {
  int64_t first_image = 0, images = 0;  // which images of the request
  int step = 0, steps = 0;              // 0-based
  double t = 0;                         // where the step began
  at::Tensor preview;  // [images, C, H, W] fp32 on the CPU: the clean images, or latents, as predicted at t
  double seconds = 0;
};

/// Which of a block's routers: the one of its feed-forward, or the one of its input, which takes the
/// timestep.
enum class Router { tokens, timesteps };

/// One block has routed the tokens, or the timesteps, of one batch. A solver that evaluates the model twice
/// per step reports both.
struct LayerRouting {
  int64_t first_image = 0, images = 0;
  int step = 0, evaluation = 0;  // evaluation of this step: 0, then 1 for Heun's corrector or the midpoint
  double t = 0;
  int64_t layer = 0;
  bool conditional = true;  // with the class, or the other half of guidance: without it, or the weaker model
  at::Tensor experts;       // [images, T, k] int64; T is 1 for timesteps
  at::Tensor gate_weights;  // [images, T, k] fp32
  Router router = Router::tokens;
};

/// A part of an image's latent is decoded.
struct Decoding {
  int64_t image = 0;  // index in the request
  double done = 0;    // 0 .. 1
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
  std::function<bool(const Decoding&)> decoding = {};
};

/// Draws the images of the request in order. False: the observer cancelled.
/// The model is told t as its schedule has it; Switch-DiT and its relatives, which route by the timestep, are
/// told the nearest whole one. Throws std::invalid_argument for a label outside 0 .. num_classes, settings
/// out of range, and a decoder of other latents.
bool generate(const Model& model, const Request& request, const Observer& observer);

/// [C, H, W] fp32 in [-1, 1] -> [H, W, C] uint8, rounded to nearest.
at::Tensor to_pixels(const at::Tensor& image);

}  // namespace switchyard::pipeline

// A model opened once, to draw with many times: what every face of the program goes through.
//
//   pipeline::Session session({.model = {.file = "model.safetensors"}});
//   pipeline::Request request{.images = {{.label = 3, .seed = 7}}, .settings = session.settings()};
//   session.draw(request, {.image_finished = [](const auto& done) { return use(done.pixels); }});
//
// It keeps packed weights and recorded graphs from one request to the next. Several sessions, and a training, may
// live in one process; one session draws one request at a time.
//
// The same (model, class, seed, settings, recipe) gives the same pixels whatever the batch size and whoever is
// watching (on the CPU; a GPU's products may be summed in another order in another batch).
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "dit/transformer.h"
#include "io/png.h"
#include "pipeline/events.h"
#include "pipeline/metadata.h"
#include "pipeline/model_source.h"
#include "pipeline/precision.h"
#include "pipeline/request.h"
#include "pipeline/timestep_gate.h"
#include "vae/autoencoder.h"

namespace switchyard::dit {
class ReplayedForward;
}

namespace switchyard::pipeline {

class LatentPreview;

struct SessionOptions {
  ModelSource model = {};
  std::filesystem::path decoder =
      {};  // of a model that draws latents, see vae::load_autoencoder; empty: what came with it
  Precision precision = {};
  std::optional<kernels::ProductLibrary> library = {};  // that multiplies; else by the rule of product_library.h
  at::Device device = at::kCPU;
};

/// Whether a decoder makes images of what the model draws: latents have more channels than a picture has.
bool draws_latents(const dit::ModelConfig& config);

class Session {
 public:
  /// Reads what the model is; its numbers follow with load(). Throws io::InputError for a file that is no such
  /// model, a model of latents without a decoder, and a decoder of other latents.
  explicit Session(SessionOptions options);

  /// Of a model, and a decoder, that are there already. Packs the model unless it is packed.
  explicit Session(dit::DiffusionTransformer model, std::optional<vae::Autoencoder> decoder = {},
                   Provenance provenance = {});
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const dit::ModelConfig& config() const { return config_; }
  const dit::ModelFile& file() const { return file_; }  // its tensors are gone after load()
  int64_t image_size() const;                           // side of the images, pixels
  int64_t image_channels() const;

  /// What it draws with unless told otherwise: see settings_for(). Throws io::InputError.
  Settings settings() const;
  /// What it draws well with in little time. Throws io::InputError.
  Settings fast_settings() const;

  /// Reads and packs the weights, once; draw() does so by itself. A decoder's are read beside, from the beginning
  /// on. Throws io::InputError.
  void load();

  /// Where the model's answers to known images contradict the objective that was assumed for it: a sentence.
  /// Costs a few forwards; nothing where the file states its objective. May be asked from an observer.
  std::optional<std::string> doubt();

  /// Of a model that routes timesteps: see pipeline/timestep_gate.h. Loads it.
  TimestepGate timestep_gate();

  /// What its routers do with noisy images, whatever drew them: z [N, C, h, w] fp32 as the model draws (latents, of a
  /// model of latents), at t of its schedule, labels of N classes. On the CPU; probabilities are not asked for. Throws
  /// dit::Stopped where `stop` said so.
  StepRouting routing_of(const at::Tensor& z, double t, const std::vector<int64_t>& labels, const dit::Stop& stop = {});

  /// What its images say of their origin. The hashes of the files are taken beside the first steps: this waits
  /// for them.
  const Provenance& provenance();

  /// The text entries of an image's PNG, from which it can be drawn again.
  io::TextEntries text_of(const Request& request, size_t image);

  /// Everything about a request that can be said before anything is drawn; draw() checks by itself. Throws
  /// std::invalid_argument for a label outside 0 .. labels() - 1, settings out of range or that the model has no
  /// use for, and a recipe that is not possible.
  void check(const Request& request) const;

  /// Draws the images of the request in order. False: the observer cancelled. The model is told t as its schedule
  /// has it; Switch-DiT and its relatives, which route by the timestep, are told the nearest whole one. Throws as
  /// check(), and io::InputError where the model's or the decoder's numbers are not finite: no picture is made of
  /// them. On the CPU fewer images are drawn at a time than asked for where memory is short; io::OutOfMemory is thrown
  /// before the first one where by the least estimate not even one fits.
  bool draw(const Request& request, const Observer& observer = {});

 private:
  Request with_fitting_batch(const Request& request, bool watched) const;
  const vae::Autoencoder& decoder();
  std::optional<at::Tensor> decoded(const at::Tensor& latent, int64_t image, const Request& request,
                                    const Observer& observer, const std::function<double(double part)>& done_at);

  SessionOptions options_;
  dit::ModelFile file_;
  dit::ModelConfig config_;
  std::unique_ptr<dit::DiffusionTransformer> model_;  // after load()
  std::unique_ptr<dit::ReplayedForward> replayed_;
  std::optional<vae::VaeConfig> decoder_config_;      // of a model of latents
  std::future<vae::Autoencoder> loading_decoder_;     // beside the model, until first asked for
  std::optional<vae::Autoencoder> decoder_;
  std::unique_ptr<LatentPreview> preview_;  // when first asked for
  Provenance provenance_;
  std::stop_source closing_;
  std::future<std::pair<std::string, std::string>> hashes_;  // of model and decoder
};

/// [C, H, W] fp32 in [-1, 1] -> [H, W, C] uint8.
at::Tensor to_pixels(const at::Tensor& image, Quantization quantization = Quantization::round);

}  // namespace switchyard::pipeline

// The KL autoencoder of latent diffusion models (Kingma and Welling 2014; Rombach et al. 2022): images to
// latents eight times smaller and back.
//
// Parameters have the names of the diffusers AutoencoderKL ("decoder.up_blocks.0.resnets.0.conv1.weight",
// with attention as to_q, to_k, to_v, to_out.0). For inference: no gradients. Images go through
// one at a time, because the library's convolutions give other bits in a batch: an image's pixels do not
// depend on its batch.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "vae/config.h"
#include "vae/layers.h"
#include "vae/plan.h"

namespace switchyard::vae {

/// The distribution of an image's latent: independent normal variables. Not scaled for the denoiser.
struct Posterior {
  at::Tensor mean, logvar;  // [N, latent_channels, h, w] fp32, logvar in [-30, 20]

  /// mean + exp(logvar / 2) * noise. Throws std::invalid_argument where the noise has another shape.
  at::Tensor sample(const at::Tensor& noise) const;

  /// With standard normal noise, image i's from generators[i]. Throws std::invalid_argument unless there is
  /// one per image.
  at::Tensor sample(std::span<const at::Generator> generators) const;
};

struct DecodeOptions {
  /// Above this many bytes (the estimate of plan_decode; 0: no limit) the picture is made in bands of rows:
  /// the same picture up to rounding, without seams, in about half the memory.
  int64_t memory_limit = 0;
  int64_t band_bytes = kBandBytes;  // size of a band
  /// Called after each piece of work (in bands: each band of each layer) with the part that is done, from 0
  /// to 1 over all images. Returning false cancels.
  std::function<bool(double done)> progress = {};
  Observer observer = {};
};

/// What an autoencoder is made for. Who only draws has no use for the encoder, two fifths of it.
struct AutoencoderOptions {
  at::ScalarType dtype = at::kFloat;  // that it computes in: fp32 or bf16
  at::Device device = at::kCPU;
  bool with_encoder = true;
  at::MemoryFormat format = at::MemoryFormat::ChannelsLast;
};

class Autoencoder {
 public:
  /// Parameters from `source`, asked once for each. Throws std::invalid_argument for another dtype or a
  /// configuration that is not valid.
  Autoencoder(VaeConfig config, const ParameterSource& source, const AutoencoderOptions& options = {});

  const VaeConfig& config() const { return config_; }
  at::ScalarType dtype() const { return placement_.dtype; }

  /// images [N, in_channels, H, W] in [-1, 1], H and W divisible by config().downsampling(); the posterior is on
  /// the CPU. Throws std::invalid_argument for other shapes, std::logic_error without the encoder.
  Posterior encode(const at::Tensor& images, const Observer& observer = {}) const;

  /// latents [N, latent_channels, h, w], scaled as the denoiser has them -> [N, out_channels, H, W] fp32 on
  /// the CPU, about [-1, 1], not clamped. None: cancelled. Throws std::invalid_argument for other shapes.
  std::optional<at::Tensor> decode(const at::Tensor& latents, const DecodeOptions& options = {}) const;

  /// Between the autoencoder's latents z and the denoiser's: (z - shift_factor) * scaling_factor.
  at::Tensor scaled(const at::Tensor& z) const;
  at::Tensor unscaled(const at::Tensor& latents) const;

 private:
  VaeConfig config_;
  Placement placement_;  // its source is empty after construction
  Network encoder_, decoder_;
  Convolution quant_, post_quant_;  // undefined where the configuration has none
};

}  // namespace switchyard::vae

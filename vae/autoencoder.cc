#include "vae/autoencoder.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace switchyard::vae {
namespace {

struct Cancelled {};

std::string shape_text(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

void require_images(const char* what, const at::Tensor& images, int64_t channels, int64_t divisor) {
  const bool fits = images.defined() && images.dim() == 4 && images.size(1) == channels &&
                    images.size(2) > 0 && images.size(3) > 0 && images.size(2) % divisor == 0 &&
                    images.size(3) % divisor == 0 && images.is_floating_point();
  if (fits) return;
  throw std::invalid_argument(
      std::string(what) + ": expected floating-point images [N, " + std::to_string(channels) +
      ", H, W] with sides divisible by " + std::to_string(divisor) + ", got " +
      (images.defined() ? toString(images.scalar_type()) + (" " + shape_text(images)) : "no tensor"));
}

// Image i of the batch, as the networks take it.
Bands image_of(const at::Tensor& batch, int64_t i, const Placement& placement) {
  return Bands(batch.narrow(0, i, 1).to(placement.device, placement.dtype).contiguous(placement.format));
}

}  // namespace

at::Tensor Posterior::sample(const at::Tensor& noise) const {
  if (noise.sizes() != mean.sizes())
    throw std::invalid_argument("sample: expected noise " + shape_text(mean) + ", got " + shape_text(noise));
  return mean + (0.5 * logvar).exp() * noise;
}

at::Tensor Posterior::sample(std::span<const at::Generator> generators) const {
  if (static_cast<int64_t>(generators.size()) != mean.size(0))
    throw std::invalid_argument("sample: expected " + std::to_string(mean.size(0)) + " generators, got " +
                                std::to_string(generators.size()));
  const auto noise = at::empty_like(mean);
  for (int64_t i = 0; i < mean.size(0); ++i)
    noise[i].copy_(at::randn(mean.sizes().slice(1), generators[i], mean.options()));
  return sample(noise);
}

Autoencoder::Autoencoder(VaeConfig config, const ParameterSource& source, const AutoencoderOptions& options)
    : config_(std::move(config)), placement_{source, options.dtype, options.format, options.device} {
  config_.validate();
  const auto dtype = options.dtype;
  if (dtype != at::kFloat && dtype != at::kBFloat16)
    throw std::invalid_argument(std::string("autoencoder: expected dtype Float or BFloat16, got ") +
                                toString(dtype));
  const int64_t latent = config_.latent_channels;
  if (options.with_encoder) encoder_ = make_encoder(config_, placement_);
  decoder_ = make_decoder(config_, placement_);
  if (options.with_encoder && config_.use_quant_conv) quant_ = make_convolution(placement_, "quant_conv", 2 * latent, 2 * latent, 1);
  if (config_.use_post_quant_conv)
    post_quant_ = make_convolution(placement_, "post_quant_conv", latent, latent, 1);
  placement_.source = {};
}

at::Tensor Autoencoder::scaled(const at::Tensor& z) const {
  return (z - config_.shift_factor) * config_.scaling_factor;
}

at::Tensor Autoencoder::unscaled(const at::Tensor& latents) const {
  return latents / config_.scaling_factor + config_.shift_factor;
}

Posterior Autoencoder::encode(const at::Tensor& images, const Observer& observer) const {
  const at::NoGradGuard no_grad;
  if (!encoder_.conv_in.weight.defined()) throw std::logic_error("encode: made without its encoder");
  const int64_t factor = config_.downsampling(), latent = config_.latent_channels;
  require_images("encode", images, config_.in_channels, factor);
  const auto moments =
      at::empty({images.size(0), 2 * latent, images.size(2) / factor, images.size(3) / factor}, at::kFloat);
  const Pass pass{.observer = &observer};
  for (int64_t i = 0; i < images.size(0); ++i) {
    auto m = run_encoder(encoder_, image_of(images, i, placement_), pass);
    if (quant_.weight.defined()) m = convolve_1x1(quant_, std::move(m), pass);
    moments.narrow(0, i, 1).copy_(m.rows(0, m.height()));
  }
  const auto halves = moments.chunk(2, 1);
  return {halves[0].contiguous(), halves[1].clamp(-30.0, 20.0)};
}

std::optional<at::Tensor> Autoencoder::decode(const at::Tensor& latents, const DecodeOptions& options) const {
  const at::NoGradGuard no_grad;
  require_images("decode", latents, config_.latent_channels, 1);
  const int64_t images = latents.size(0), height = latents.size(2), width = latents.size(3);
  const auto plan =
      plan_decode(config_, images, height, width, dtype(), options.memory_limit, options.band_bytes);

  double flop = 0;
  const auto report = [&](double piece) {
    flop += piece;
    const double done = std::min(1.0, flop / (plan.flop * static_cast<double>(images)));
    if (!options.progress(done)) throw Cancelled();
  };
  Pass pass{.band_bytes = plan.banded ? options.band_bytes : 0, .observer = &options.observer};
  if (options.progress) pass.worked = report;

  const auto z = unscaled(latents.to(at::kFloat));
  const int64_t factor = config_.downsampling();
  const auto pictures =
      at::empty({images, config_.out_channels, height * factor, width * factor}, at::kFloat);
  try {
    for (int64_t i = 0; i < images; ++i) {
      auto x = image_of(z, i, placement_);
      if (post_quant_.weight.defined()) x = convolve_1x1(post_quant_, std::move(x), pass);
      x = run_decoder(decoder_, std::move(x), pass);
      pictures.narrow(0, i, 1).copy_(x.rows(0, x.height()));
    }
  } catch (const Cancelled&) {
    return std::nullopt;
  }
  return pictures;
}

}  // namespace switchyard::vae

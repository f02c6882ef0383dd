// Latents as colours without the decoder: a linear map to RGB, fitted to it once.
#pragma once

#include <ATen/core/Tensor.h>

#include "vae/autoencoder.h"

namespace switchyard::pipeline {

class LatentPreview {
 public:
  /// Decodes a few small patchworks of smooth noise and fits, by least squares, the mean colour of each latent's
  /// picture to the latent. Costs about a twentieth of decoding an image of 256x256.
  explicit LatentPreview(const vae::Autoencoder& decoder);

  /// latents [N, C, h, w] as the denoiser has them, any float dtype and device -> [N, 3 or 1, h, w] fp32 on the
  /// CPU, about [-1, 1].
  at::Tensor operator()(const at::Tensor& latents) const;

 private:
  at::Tensor map_;  // [C + 1, colours]: weights, and the colour of a latent of zeros
};

}  // namespace switchyard::pipeline

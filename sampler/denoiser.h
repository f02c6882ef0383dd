// What the sampler knows of a model: a function of the noisy image and the time, and what its answer means.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string_view>

namespace switchyard::sampler {

/// (z, t) -> prediction of the same shape.
///   z  [N,C,H,W] float32, the noisy images z_t = (1 - t) x + t noise
///   t  time of the rectified flow, shared by the batch: 1 is pure noise, 0 the image
/// For bit-equal images at any batch size, each image's prediction must depend on that image alone.
using Denoiser = std::function<at::Tensor(const at::Tensor& z, double t)>;

/// The meaning of a denoiser's answer.
enum class Prediction {
  velocity,     // v = noise - x = dz/dt
  clean_image,  // x_hat, the expected x given z_t
};

std::string_view to_string(Prediction prediction);  // "velocity", "clean_image"

/// Throws std::invalid_argument, with the near misses, for any other name.
Prediction prediction_from_name(std::string_view name);

}  // namespace switchyard::sampler

// What the sampler knows of a model: a function of the noisy image and the time, and what its answer means.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string_view>

#include "sampler/schedule.h"

namespace switchyard::sampler {

/// (x_t, t) -> prediction.
///   x_t  [N,C,...] float32 or float64, the noisy images alpha x_0 + sigma noise
///   t    shared by the batch: time 0..1 of the rectified flow and of gvp (1 is pure noise), timestep 0..999 of a
///   discrete
///        schedule (fractional where a solver goes between timesteps), sigma of "edm"
/// The answer has x_t's shape; with a learned variance, twice the channels.
/// For bit-equal images at any batch size, each image's prediction must depend on that image alone.
using Denoiser = std::function<at::Tensor(const at::Tensor& x, double t)>;

/// The meaning of a denoiser's answer.
enum class Prediction {
  velocity,            // noise - x_0 = dx/dt of the rectified flow
  clean_image,         // x_hat, the expected x_0 given x_t
  noise,               // the expected noise, epsilon
  noise_and_variance,  // channels 0..C-1: noise; C..2C-1: in -1..1, where the log variance of a DDPM step
                       // lies between its bounds (Nichol and Dhariwal 2021, equation 15, as (v + 1) / 2)
  v,                   // alpha noise - sigma x_0 (Salimans and Ho 2022)
};

std::string_view to_string(Prediction prediction);  // the enumerator's name

/// Throws std::invalid_argument, with the near misses, for any other name.
Prediction prediction_from_name(std::string_view name);

std::span<const std::string_view> prediction_names();  // in the order of the enum

/// Throws std::invalid_argument, with the predictions that fit, for one that the schedule has no use for:
/// velocity belongs to the rectified flow (in unit time, the noise end determines no x_0 from the noise alone), the
/// learned variance to discrete schedules, v to those and to gvp.
void require_fit(Prediction prediction, const Schedule& schedule);

}  // namespace switchyard::sampler

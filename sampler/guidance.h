// Classifier-free guidance (Ho and Salimans 2022), limited to an interval of times (Kynkäänniemi et al.
// 2024).
//
//   v = v_u + scale (v_c - v_u)     where t_low <= t <= t_high;     v = v_c elsewhere
//
// x_hat = z - t v is linear in v, so guiding clean-image predictions is the same thing.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <utility>

#include "sampler/denoiser.h"

namespace switchyard::sampler {

struct Guidance {
  double scale = 1.0;  // 1 is no guidance, 0 the unconditional model
  double t_low = 0.0;  // both ends belong to the interval
  double t_high = 1.0;
};

/// Throws std::invalid_argument unless scale is finite and 0 <= t_low <= t_high <= 1.
void validate(const Guidance& guidance);

/// Whether the unconditional model is needed at t.
bool guidance_active(const Guidance& guidance, double t);

/// Both predictions at once, {conditional, unconditional}: a model runs them as one batch of 2N.
using PairedDenoiser = std::function<std::pair<at::Tensor, at::Tensor>(const at::Tensor& z, double t)>;

/// The guided denoiser. It calls `both` where guidance is active and `conditional` alone elsewhere, which
/// saves half of the work there. Validates the settings.
Denoiser guide(Denoiser conditional, PairedDenoiser both, const Guidance& guidance);

}  // namespace switchyard::sampler

// Guidance: two predictions, of a good and a worse model, into one beyond the good one.
//
//   classifier_free     p = u + scale (c - u)                                 (Ho and Salimans 2022)
//   rescaled            that p, then its standard deviation drawn towards c's: p (f std(c)/std(p) + 1 - f)
//                                                                             (Lin et al. 2024, section 3.4)
//   cfg_zero_star       p = s u + scale (c - s u), s = <c,u>/|u|^2; and nothing at
//                       the noise end of a rectified flow                     (Fan et al. 2025)
//
//   adaptive_projected  D = D_c + (scale - 1) (orthogonal + eta parallel), parts of D_c - D_u
//                       after momentum and a bound on its length              (Sadat et al. 2025)
//
// c is the conditional prediction. u is the unconditional one, or, for autoguidance (Karras et al. 2024),
// that of a weaker version of the model with the same condition: the formulas are the same. Clean image,
// noise, v and velocity are affine in each other, so it does not matter which of them is guided by the first
// formula. Standard deviations, products and lengths are each image's own, summed in double.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <span>
#include <string_view>
#include <utility>

#include "sampler/denoiser.h"

namespace switchyard::sampler {

enum class GuidanceKind { classifier_free, rescaled, cfg_zero_star, adaptive_projected };

std::string_view to_string(GuidanceKind kind);  // the enumerator's name

/// Throws std::invalid_argument, with the near misses, for any other name.
GuidanceKind guidance_kind_from_name(std::string_view name);

std::span<const std::string_view> guidance_kind_names();  // in the order of the enum

struct Guidance {
  double scale = 1.0;  // 1 is no guidance, 0 the unconditional model
  double t_low =
      0.0;  // guided where t_low <= Schedule::noise_fraction(t) <= t_high (Kynkäänniemi et al. 2024)
  double t_high = 1.0;
  GuidanceKind kind = GuidanceKind::classifier_free;
  int channels = 0;        // only the first so many, the others as conditional; 0: all
  double rescale = 0.7;    // rescaled: f, 0..1
  double zero_from = 1.0;  // cfg_zero_star: the velocity is 0 where t >= zero_from; above 1: nowhere
  double parallel = 0.0;   // adaptive_projected: eta
  double longest = 15.0;   // adaptive_projected: most length of the difference; 0: no bound
  double momentum = -0.5;  // adaptive_projected: -1 < momentum < 1; 0: none

  bool operator==(const Guidance&) const = default;
};

/// Throws std::invalid_argument unless every number is finite and in its range and 0 <= t_low <= t_high <= 1.
void validate(const Guidance& guidance);

/// Whether the second prediction is needed at this noise fraction.
bool guidance_active(const Guidance& guidance, double noise_fraction);

/// Both predictions at once, {c, u}: a model runs them as one batch of 2N.
using PairedDenoiser = std::function<std::pair<at::Tensor, at::Tensor>(const at::Tensor& x, double t)>;

/// Both predictions, one after the other.
PairedDenoiser pair_of(Denoiser conditional, Denoiser other);

/// The guided denoiser, for one run of a solver (momentum is kept from call to call). It calls `both` where
/// guidance is active and `conditional` alone elsewhere, which saves half of the work there. A learned
/// variance is the conditional one. Validates the settings.
Denoiser guide(Denoiser conditional, PairedDenoiser both, const Guidance& guidance,
               const Schedule& schedule = Schedule("rectified_flow"),
               Prediction prediction = Prediction::velocity);

}  // namespace switchyard::sampler

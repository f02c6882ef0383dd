// What decoding one image costs, before anything is allocated: memory in both forms, and arithmetic.
#pragma once

#include <ATen/core/ScalarType.h>

#include <cstdint>

#include "vae/config.h"

namespace switchyard::vae {

/// Large enough that the rows read twice at a band's edges cost little, small beside a large image.
inline constexpr int64_t kBandBytes = 8 << 20;

struct DecodePlan {
  bool banded = false;
  int64_t bytes = 0;         // estimated peak of the chosen form: activations and the output, not the weights
  int64_t whole_bytes = 0;   // of each form
  int64_t banded_bytes = 0;  // the smallest that decoding can do with
  double flop = 0;           // per image; a multiply-add counts as two
};

/// For `images` latents [latent_height, latent_width] computed in `dtype`, one after the other. The whole
/// form is chosen where its estimate is within memory_limit bytes (0: no limit), else the banded form, even
/// where that needs more than the limit. Throws std::invalid_argument for sizes below 1 or above 2^20.
DecodePlan plan_decode(const VaeConfig& config, int64_t images, int64_t latent_height, int64_t latent_width,
                       at::ScalarType dtype, int64_t memory_limit, int64_t band_bytes = kBandBytes);

}  // namespace switchyard::vae

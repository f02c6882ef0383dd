// The times at which a rectified flow is solved.
#pragma once

#include <vector>

namespace switchyard::sampler {

/// steps + 1 times, from exactly 1 (noise) down to exactly 0 (image).
/// shift = 1 gives t_i = i/steps, the grid of the official DiT-MoE sampler; other shifts map it by
///   t -> shift t / (1 + (shift - 1) t),
/// which spends more steps near the noise when shift > 1 (Esser et al. 2024, "Scaling Rectified Flow
/// Transformers", equation 23). Throws std::invalid_argument unless steps >= 1 and shift is positive and
/// finite.
std::vector<double> time_grid(int steps, double shift = 1.0);

}  // namespace switchyard::sampler

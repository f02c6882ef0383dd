// A noise level of the diffusion, and a step between two of them.
#pragma once

#include <cmath>

namespace switchyard::sampler {

/// x_t = alpha x_0 + sigma noise, noise standard normal.
struct Level {
  double t = 0;  // what the model is told: 0..1 of a rectified flow, timestep 0..999, or sigma (edm)
  double alpha = 1;
  double sigma = 0;
};

/// The noise per unit of signal: sigma of the variance-exploding form x / alpha = x_0 + ratio noise.
inline double ratio(const Level& level) { return level.sigma / level.alpha; }

/// Half of the log signal-to-noise ratio, DPM-Solver's lambda: infinite where the image or the noise is gone.
inline double lambda(const Level& level) { return std::log(level.alpha) - std::log(level.sigma); }

/// From a level to a cleaner one. `to` is where the next step begins.
struct Step {
  Level from, to;
};

}  // namespace switchyard::sampler

// Which of a discrete schedule's timesteps a sampler visits.
#pragma once

#include <string_view>
#include <vector>

namespace switchyard::sampler {

/// The kept timesteps, ascending, as the official DDPM code of DiT and its relatives spaces them:
///   "25"        25 steps over all, ends included
///   "10,20,30"  the timesteps in three equal sections with 10, 20 and 30 steps
///   "ddim25"    the largest whole stride that gives exactly 25 steps, from 0
/// A section's steps are the rounded sums (half to even) of a stride in double. Throws std::invalid_argument
/// for other texts, a section too short for its count, or a count that no whole stride gives.
std::vector<int> space_timesteps(int timesteps, std::string_view spec);

enum class Spacing { leading, trailing, linspace };

/// Variants among samplers that all say "leading" or "linspace".
struct SpacingVariant {
  int offset = 0;           // leading: added to every timestep
  bool fractional = false;  // linspace: not rounded (Euler and Heun samplers)
  bool drop_lowest =
      false;    // leading, linspace: one point more, and the lowest left out (multistep samplers)
  int end = 0;  // use the timesteps below this; 0: all of them
};

/// Timesteps, falling. `steps` of them, but fewer with trailing where `end` leaves out some.
///   leading   whole strides from 0;  trailing  equal strides down from the last;  linspace  equal, both ends
/// Throws std::invalid_argument unless 1 <= steps and all timesteps are inside the schedule.
std::vector<double> spaced_timesteps(Spacing spacing, int timesteps, int steps,
                                     const SpacingVariant& variant = {});

/// Karras et al. 2022, equation 5: `steps` values from `most` down to `least`, equally far in the rho-th
/// root.
std::vector<double> karras_ratios(double most, double least, int steps, double rho = 7);

}  // namespace switchyard::sampler

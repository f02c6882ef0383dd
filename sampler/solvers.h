// Solvers of the flow's equation dz/dt = v(z, t), from noise at t = 1 down to the image at t = 0.
//
// Element-wise arithmetic only, in z's dtype, so that an image does not depend on the batch it is in, bit for
// bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sampler/denoiser.h"

namespace switchyard::sampler {

enum class Solver {
  euler,     // order 1, one evaluation per step; the official DiT-MoE sampler
  heun,      // order 2, two evaluations per step, one in a last step that ends at t = 0 (Karras et al. 2022,
             // algorithm 1)
  midpoint,  // order 2, two evaluations per step
};

std::string_view to_string(Solver solver);  // "euler", "heun", "midpoint"

/// Throws std::invalid_argument, with the near misses, for any other name.
Solver solver_from_name(std::string_view name);

std::span<const std::string_view> solver_names();  // in the order of the enum

/// One finished step.
struct StepInfo {
  int index;         // 0 .. steps-1
  int steps;         // steps in all
  double t;          // where the step began
  double t_next;     // where it ended
  at::Tensor z;      // [N,C,H,W] the state at t_next
  at::Tensor x_hat;  // [N,C,H,W] the clean images as predicted at t: the preview
};

/// Called after each step; false cancels.
using OnStep = std::function<bool(const StepInfo&)>;

/// Solves from z at times.front() along `times` and returns the state at times.back(), or nothing when
/// on_step cancelled (at whatever step, the last included). z is not changed.
///   velocity  predicts v; never evaluated at t = 0, where a clean-image prediction has no velocity
///   z         [N,C,H,W] float32 (float64 is solved in float64)
///   times     at least two, in 0..1, strictly falling: see time_grid
/// Throws std::invalid_argument for other times or z, and for a velocity of another shape than z.
std::optional<at::Tensor> solve(Solver solver, const Denoiser& velocity, at::Tensor z,
                                const std::vector<double>& times, const OnStep& on_step = nullptr);

}  // namespace switchyard::sampler

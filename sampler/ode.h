// Solvers of the probability-flow ODE, deterministic: Euler, Heun, midpoint, and Adams-Bashforth of order 2.
//
// The ODE in the coordinates in which each kind of model is straightest:
//   rectified flow   dx/dt = v(x, t)
//   gvp              dx/da = v(x, t), a = pi t / 2: as the official code of SiT solves it
//   else             y = x / alpha, u = sigma / alpha:   dy/du = noise(x, t)     (Karras et al. 2022,
//   equation 1
//                                                                                with s = 1, sigma(t) = t)
#pragma once

#include <optional>

#include "sampler/problem.h"

namespace switchyard::sampler {

/// x + (u' - u) d, in the coordinates above.
at::Tensor euler_move(const Problem& problem, const at::Tensor& x, const at::Tensor& d, const Level& from,
                      const Level& to);

/// d(x, t): the velocity of a rectified flow, v of gvp, else the noise.
at::Tensor slope(const Problem& problem, const at::Tensor& x, const Level& at);

/// The rest of a Heun step whose first slope is d_cur; a last step, to sigma = 0, is Euler's.
at::Tensor heun_rest(const Problem& problem, const at::Tensor& x, const at::Tensor& d_cur, const Level& from,
                     const Level& to);

Prediction meaning_of_slope(const Schedule& schedule);

/// x_hat = x_0 as the slope d at a level has it.
at::Tensor clean_from_slope(const Problem& problem, const at::Tensor& x, const at::Tensor& d,
                            const Level& at);

/// Each: the state at steps.back().to, or nothing when on_step cancelled. None evaluates the model at sigma =
/// 0.
std::optional<at::Tensor> solve_euler(const Problem& problem,
                                      at::Tensor x);                         // order 1, 1 evaluation per step
std::optional<at::Tensor> solve_heun(const Problem& problem, at::Tensor x);  // order 2, 2 evaluations
std::optional<at::Tensor> solve_midpoint(const Problem& problem, at::Tensor x);  // order 2, 2 evaluations

/// Order 2 with one evaluation per step, from the slope of the step before; the first step is Euler's.
std::optional<at::Tensor> solve_adams_bashforth(const Problem& problem, at::Tensor x);

}  // namespace switchyard::sampler

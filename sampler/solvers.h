// Every solver under its name: which schedules it is for, and one way to run any of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sampler/denoiser.h"
#include "sampler/edm.h"
#include "sampler/euler_maruyama.h"
#include "sampler/problem.h"

namespace switchyard::sampler {

enum class Solver {
  euler,             // order 1; the official DiT-MoE sampler of rectified flows
  heun,              // order 2, two evaluations per step, one in a last step to sigma = 0
  midpoint,          // order 2, two evaluations per step
  adams_bashforth,   // order 2, one evaluation per step
  ddpm,              // ancestral sampling; the official sampler of DiT, Switch-DiT and DTR
  ddim,              // eta 0: deterministic; eta 1: as ddpm with the small variance
  euler_ancestral,   // Euler with as much fresh noise as keeps the marginals
  euler_stochastic,  // Euler with nothing but fresh noise
  dpmpp_2m,          // DPM-Solver++, order 2, one evaluation per step
  dpmpp_3m,          // order 3
  dpmpp_2m_sde,      // order 2, with noise
  unipc,             // UniPC of order 2 with B(h) = e^h - 1: predictor and corrector, one evaluation per step
  edm_heun,          // Heun with churn, algorithm 2 of Karras et al. 2022
  euler_maruyama,    // the SDE beside the flow; the official sampler of SiT
};

/// What there is to know of a solver.
struct SolverFacts {
  std::string_view name;     // the enumerator's name
  bool flow, discrete, edm;  // the schedules it is for; flow: in unit time, gvp too
  bool adds_noise;           // needs Problem::draw (ddim with eta > 0 and edm_heun with churn only)
  int evaluations;           // of the model per step
  bool leaves_out_lowest;    // places its timesteps as multistep solvers do: SpacingVariant::drop_lowest
};
const SolverFacts& facts(Solver solver);

std::string_view to_string(Solver solver);

/// Throws std::invalid_argument, with the near misses, for any other name.
Solver solver_from_name(std::string_view name);

std::span<const std::string_view> solver_names();  // in the order of the enum

/// Throws std::invalid_argument, with the solvers that fit, for one that is not for the schedule.
void require_fit(Solver solver, const Schedule& schedule);

struct SolverSettings {
  Solver solver = Solver::euler;
  double eta = 0;    // ddim: 0..1
  Churn churn = {};  // edm_heun
  Diffusion diffusion = {};  // euler_maruyama

  bool operator==(const SolverSettings&) const = default;
};

/// Solves from x at problem.steps.front().from and returns the state at problem.steps.back().to, or nothing
/// when on_step cancelled (at whatever step, the last included). x is not changed. ddpm takes the learned
/// variance where there is one, else beta (the official "fixed large"). Throws std::invalid_argument for
/// settings out of range, a solver or prediction that does not go with the schedule, steps that do not get
/// cleaner, a state that is not float32 or float64, and an output of a wrong shape.
std::optional<at::Tensor> solve(const SolverSettings& settings, const Problem& problem, at::Tensor x);

/// The times at which solve() asks the denoiser, in order, one per evaluation: known beforehand, because no solver lets
/// its times depend on the state. `problem` needs neither denoiser nor draw.
std::vector<double> evaluation_times(const SolverSettings& settings, const Problem& problem);

/// solve() on a rectified flow.
///   velocity  predicts v; never evaluated at t = 0, where a clean-image prediction has no velocity
///   times     at least two, in 0..1, strictly falling: see time_grid
std::optional<at::Tensor> solve(Solver solver, const Denoiser& velocity, at::Tensor z,
                                const std::vector<double>& times, const OnStep& on_step = nullptr);

}  // namespace switchyard::sampler

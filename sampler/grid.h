// The steps of a run, for each kind of schedule.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <vector>

#include "sampler/level.h"
#include "sampler/schedule.h"
#include "sampler/solvers.h"

namespace switchyard::sampler {

/// From each level to the next, and from the last one to `end`.
std::vector<Step> chain(const std::vector<Level>& levels, const Level& end);

/// Levels at given timesteps.
std::vector<Level> levels_at(const Schedule& schedule, std::span<const double> timesteps);

/// Levels at given sigma / alpha; with whole_timesteps, t is rounded (alpha and sigma are not).
std::vector<Level> levels_of_ratios(const Schedule& schedule, std::span<const double> ratios,
                                    bool whole_timesteps);

/// Below which timesteps lambda = log(alpha / sigma) is at least `least`: SpacingVariant::end. At the noise
/// end of the cosine schedule, alpha is so small that a clean image cannot be told from a noise prediction.
int end_of_lambda(const Schedule& schedule, double least);

struct GridSettings {
  int steps = 25;

  // Of a discrete schedule, how the timesteps are spaced:
  //   even       over all, both ends included: the official DDPM code's "25"
  //   ddim       the largest whole stride: the official "ddim25"
  //   leading, trailing, linspace   as diffusers has them, for the solver at hand
  //   karras     equally far in the 7th root of sigma / alpha
  //   a list of counts, "10,20,30", or "25", or "ddim25": the official code's notation; replaces `steps`
  // Empty: even for ddpm and ddim, else linspace. The other schedules have one spacing, and take nothing
  // here.
  std::string spacing = "";

  double shift = 1;         // in unit time: see time_grid
  double last_step = 0.04;  // euler_maruyama: the time left for the last step; 0: as the others
  double sigma_min = 0.002, sigma_max = 80;  // edm
  double rho = 7;                            // edm

  bool operator==(const GridSettings&) const = default;
};

/// The steps from noise to the clean image. Throws std::invalid_argument for settings out of range, an
/// unknown spacing, or one that the schedule does not have.
std::vector<Step> steps_of(const Schedule& schedule, Solver solver, const GridSettings& settings);

/// Where sampling starts, from standard normal noise: noise itself, or sigma noise where alpha = 1 (edm).
at::Tensor initial_state(const Schedule& schedule, const std::vector<Step>& steps, const at::Tensor& noise);

}  // namespace switchyard::sampler

// How images are drawn.
#pragma once

#include <string>
#include <vector>

#include "dit/config.h"
#include "sampler/edm.h"
#include "sampler/grid.h"
#include "sampler/guidance.h"
#include "sampler/solvers.h"

namespace switchyard::pipeline {

/// How images are drawn; the same for every image of a request. What a model's schedule has no use for must
/// stay at its default.
struct Settings {
  sampler::Solver solver = sampler::Solver::euler;
  int steps = 25;
  std::string spacing =
      "";              // discrete schedules: see sampler::GridSettings; a list of counts replaces `steps`
  double shift = 1.0;  // rectified flow: more than 1 spends more steps near the noise
  double eta = 0;      // ddim
  sampler::Churn churn = {};                 // edm_heun
  double sigma_min = 0.002, sigma_max = 80;  // edm
  double rho = 7;                            // edm
  double clip = 0;                           // above 0: predicted clean images are kept within -clip .. clip
  sampler::Guidance guidance{.scale = 2.0};
  int64_t weak_experts =
      0;  // above 0: autoguidance, away from the same class's image with so many experts per token
};

/// What the solver is told.
sampler::SolverSettings solver_settings(const Settings& settings);

/// The steps that these settings mean for a model. Throws std::invalid_argument for settings out of range or
/// that the model's schedule has no use for.
std::vector<sampler::Step> steps_of(const dit::ModelConfig& config, const Settings& settings);

}  // namespace switchyard::pipeline

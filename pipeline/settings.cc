#include "pipeline/settings.h"

namespace switchyard::pipeline {

sampler::SolverSettings solver_settings(const Settings& settings) {
  return {.solver = settings.solver, .eta = settings.eta, .churn = settings.churn};
}

std::vector<sampler::Step> steps_of(const dit::ModelConfig& config, const Settings& settings) {
  return sampler::steps_of(sampler::Schedule(config.schedule), settings.solver,
                           {.steps = settings.steps,
                            .spacing = settings.spacing,
                            .shift = settings.shift,
                            .sigma_min = settings.sigma_min,
                            .sigma_max = settings.sigma_max,
                            .rho = settings.rho});
}

}  // namespace switchyard::pipeline

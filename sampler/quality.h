// A choice for people who do not want to choose: solver, steps and guidance for a model's objective.
#pragma once

#include <string_view>

#include "sampler/grid.h"
#include "sampler/guidance.h"
#include "sampler/solvers.h"

namespace switchyard::sampler {

enum class Quality { fast, balanced, best };

/// Throws std::invalid_argument, with the near misses, for any other name than the enumerators'.
Quality quality_from_name(std::string_view name);

struct QualityChoice {
  SolverSettings solver;
  GridSettings grid;
  Guidance guidance;
};

/// Throws std::invalid_argument if the prediction does not go with the schedule.
QualityChoice choose(Quality quality, const Schedule& schedule, Prediction prediction);

}  // namespace switchyard::sampler

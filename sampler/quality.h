// A choice for people who do not want to choose: solver, steps and guidance for a model's objective.
#pragma once

#include <string>
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
  std::string sentence;  // "fast: adams_bashforth, 12 steps, guidance 2 within 0.1 .. 0.9 of the noise"
};

/// The sentence for a choice, which may have been changed since.
std::string sentence_of(Quality quality, const QualityChoice& choice);

/// Throws std::invalid_argument if the prediction does not go with the schedule.
QualityChoice choose(Quality quality, const Schedule& schedule, Prediction prediction);

}  // namespace switchyard::sampler

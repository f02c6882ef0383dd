#include "sampler/quality.h"

#include <array>

#include "io/near_misses.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 3> kQualityNames = {"fast", "balanced", "best"};  // by enumerator

}  // namespace

Quality quality_from_name(std::string_view name) {
  return static_cast<Quality>(io::place_of_name("quality", name, kQualityNames));
}

QualityChoice choose(Quality quality, const Schedule& schedule, Prediction prediction) {
  require_fit(prediction, schedule);
  // Guidance near the noise end costs variety and near the image end changes nothing that is seen
  // (Kynkäänniemi et al. 2024): fast saves both halves there.
  const Guidance limited{.scale = 2.0, .t_low = 0.1, .t_high = 0.9}, everywhere{.scale = 2.0};
  const bool fast = quality == Quality::fast, balanced = quality == Quality::balanced;
  QualityChoice choice;
  choice.guidance = fast ? limited : everywhere;
  if (schedule.in_unit_time()) {
    // Second order for one evaluation per step; Heun's smaller error constant for two.
    choice.solver.solver = quality == Quality::best ? Solver::heun : Solver::adams_bashforth;
    choice.grid.steps = fast ? 12 : balanced ? 25 : 50;
  } else if (schedule.is_discrete()) {
    // At its best, the sampler that the models are published with, and its number of steps.
    choice.solver.solver = quality == Quality::best ? Solver::ddpm : Solver::dpmpp_2m;
    choice.grid.steps = fast ? 12 : balanced ? 25 : 250;
    if (quality != Quality::best) choice.grid.spacing = "karras";
  } else {
    // Karras et al. 2022: 18 steps for CIFAR-10, and churn in longer runs.
    choice.solver.solver = quality == Quality::best ? Solver::edm_heun
                           : fast                   ? Solver::dpmpp_2m
                                                    : Solver::heun;
    choice.grid.steps = fast ? 12 : balanced ? 18 : 64;
    if (quality == Quality::best)
      choice.solver.churn = {.amount = 40, .t_min = 0.05, .t_max = 50, .noise = 1.003};
  }
  return choice;
}

}  // namespace switchyard::sampler

#include "sampler/grid.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "io/near_misses.h"
#include "sampler/spacing.h"
#include "sampler/time_grid.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 6> kSpacings = {"even",     "ddim",     "leading",
                                                       "trailing", "linspace", "karras"};

std::vector<double> falling(const std::vector<int>& ascending) {
  return {ascending.rbegin(), ascending.rend()};
}

bool is_counts(std::string_view spacing) {
  if (spacing.starts_with("ddim")) spacing.remove_prefix(4);
  return !spacing.empty() && spacing.find_first_not_of("0123456789,") == std::string_view::npos;
}

std::vector<Level> discrete_levels(const Schedule& schedule, Solver solver, const GridSettings& settings) {
  // lambda = -5.1 is just below the noise end of the linear schedule, and cuts off that of the cosine one.
  constexpr double kLeastLambda = -5.1;
  const bool multistep = facts(solver).leaves_out_lowest;
  const bool whole = multistep || solver == Solver::ddpm || solver == Solver::ddim;
  const SpacingVariant variant{.fractional = !whole,
                               .drop_lowest = multistep,
                               .end = multistep ? end_of_lambda(schedule, kLeastLambda) : 0};
  const int timesteps = schedule.timesteps(), steps = settings.steps;
  const bool official = solver == Solver::ddpm || solver == Solver::ddim;
  const std::string spacing = !settings.spacing.empty() ? settings.spacing : official ? "even" : "linspace";

  if (is_counts(spacing)) return levels_at(schedule, falling(space_timesteps(timesteps, spacing)));
  if (spacing == "even" || spacing == "ddim") {
    const auto spec = (spacing == "ddim" ? spacing : "") + std::to_string(steps);
    return levels_at(schedule, falling(space_timesteps(timesteps, spec)));
  }
  if (spacing == "karras") {
    const auto noisiest = schedule.level(variant.end == 0 ? timesteps - 1 : variant.end - 1);
    return levels_of_ratios(schedule, karras_ratios(ratio(noisiest), ratio(schedule.level(0)), steps), whole);
  }
  for (const auto& [name, kind] : {std::pair{"leading", Spacing::leading},
                                   {"trailing", Spacing::trailing},
                                   {"linspace", Spacing::linspace}}) {
    if (spacing == name) return levels_at(schedule, spaced_timesteps(kind, timesteps, steps, variant));
  }
  throw std::invalid_argument(c10::str("unknown spacing \"", spacing, "\"; ",
                                       io::near_misses(spacing, kSpacings),
                                       ", or counts such as \"25\", \"ddim25\", \"10,20,30\""));
}

// All steps but the last one evenly over what it leaves to them.
std::vector<double> grid_with_last_step(const GridSettings& settings) {
  if (!(settings.last_step < 1))
    throw std::invalid_argument(c10::str("last step is ", settings.last_step, ", expected less than 1"));
  auto times = time_grid(settings.steps - 1, settings.shift);
  for (double& t : times) t = settings.last_step + (1 - settings.last_step) * t;
  times.push_back(0);
  return times;
}

}  // namespace

std::vector<Step> chain(const std::vector<Level>& levels, const Level& end) {
  std::vector<Step> steps;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    steps.push_back({levels[i], i + 1 < levels.size() ? levels[i + 1] : end});
  }
  return steps;
}

std::vector<Level> levels_at(const Schedule& schedule, std::span<const double> timesteps) {
  std::vector<Level> levels;
  for (const double t : timesteps) levels.push_back(schedule.level(t));
  return levels;
}

std::vector<Level> levels_of_ratios(const Schedule& schedule, std::span<const double> ratios,
                                    bool whole_timesteps) {
  std::vector<Level> levels;
  for (const double ratio : ratios) {
    levels.push_back(schedule.at_ratio(ratio));
    if (whole_timesteps) levels.back().t = std::nearbyint(levels.back().t);
  }
  return levels;
}

int end_of_lambda(const Schedule& schedule, double least) {
  int end = schedule.timesteps();
  while (end > 1 && lambda(schedule.level(end - 1)) < least) --end;
  return end;
}

std::vector<Step> steps_of(const Schedule& schedule, Solver solver, const GridSettings& settings) {
  require_fit(solver, schedule);
  if (settings.steps < 1)
    throw std::invalid_argument(c10::str("steps is ", settings.steps, ", expected at least 1"));
  if (!schedule.in_unit_time() && settings.shift != 1) {
    throw std::invalid_argument(c10::str("shift is ", settings.shift,
                                         ": only a rectified flow and gvp have one, not schedule \"",
                                         schedule.name(), "\""));
  }
  if (schedule.is_discrete()) return chain(discrete_levels(schedule, solver, settings), schedule.clean());
  if (!settings.spacing.empty()) {
    throw std::invalid_argument(c10::str("spacing is \"", settings.spacing, "\": schedule \"",
                                         schedule.name(), "\" has no timesteps to choose from"));
  }
  if (schedule.in_unit_time()) {
    const bool ends_apart = solver == Solver::euler_maruyama && settings.last_step > 0 && settings.steps > 1;
    auto times = ends_apart ? grid_with_last_step(settings) : time_grid(settings.steps, settings.shift);
    times.pop_back();
    return chain(levels_at(schedule, times), schedule.clean());
  }
  const auto ratios = karras_ratios(settings.sigma_max, settings.sigma_min, settings.steps, settings.rho);
  return chain(levels_of_ratios(schedule, ratios, false), schedule.clean());
}

at::Tensor initial_state(const Schedule& schedule, const std::vector<Step>& steps, const at::Tensor& noise) {
  return schedule.in_unit_time() || schedule.is_discrete() ? noise : steps.at(0).from.sigma * noise;
}

}  // namespace switchyard::sampler

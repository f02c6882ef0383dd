#include "sampler/euler_maruyama.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "io/near_misses.h"
#include "sampler/ode.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 6> kForms = {"constant", "sbdm",       "sigma",
                                                    "linear",   "decreasing", "increasing_decreasing"};
constexpr std::array<std::string_view, 4> kLastSteps = {"mean", "euler", "tweedie", "none"};

// dx/dt per slope.
double pace(const Schedule& schedule) { return schedule.is_circle() ? std::numbers::pi / 2 : 1; }

double square(double value) { return value * value; }

}  // namespace

std::span<const std::string_view> diffusion_form_names() { return kForms; }
std::span<const std::string_view> last_step_names() { return kLastSteps; }
std::string_view to_string(DiffusionForm form) { return kForms.at(static_cast<std::size_t>(form)); }
std::string_view to_string(LastStep last) { return kLastSteps.at(static_cast<std::size_t>(last)); }

DiffusionForm diffusion_form_from_name(std::string_view name) {
  return static_cast<DiffusionForm>(io::place_of_name("diffusion form", name, kForms));
}

LastStep last_step_from_name(std::string_view name) {
  return static_cast<LastStep>(io::place_of_name("last step", name, kLastSteps));
}

double diffusion_at(const Schedule& schedule, const Level& at, const Diffusion& diffusion) {
  constexpr double kMostNoise = 0.999;
  const double c = diffusion.norm, turn = std::numbers::pi * (1 - at.t);
  switch (diffusion.form) {
    case DiffusionForm::constant:
      return c;
    case DiffusionForm::sbdm:  // of both schedules, the bracket is this
      return c * pace(schedule) * ratio(schedule.level(std::min(at.t, kMostNoise)));
    case DiffusionForm::sigma:
      return c * at.sigma;
    case DiffusionForm::linear:
      return c * at.t;
    case DiffusionForm::decreasing:
      return square(c * std::cos(turn) + 1) / 4;
    case DiffusionForm::increasing_decreasing:
      return c * square(std::sin(turn));
  }
  return 0;
}

std::optional<at::Tensor> solve_euler_maruyama(const Problem& problem, at::Tensor x, const Diffusion& diffusion) {
  const auto& schedule = problem.schedule;
  const auto meaning = meaning_of_slope(schedule);
  for (std::size_t i = 0; i < problem.steps.size(); ++i) {
    const auto& [from, to] = problem.steps[i];
    const double h = from.t - to.t, w = diffusion_at(schedule, from, diffusion);
    const auto last = to.sigma == 0 ? diffusion.last : LastStep::none;
    const auto d = slope(problem, x, from);                // [N,C,H,W]
    const auto clean = clean_from(meaning, d, x, from);    // [N,C,H,W]
    auto x_next = x - (h * pace(schedule)) * d;            // along the flow
    if (last == LastStep::tweedie) x_next = clean;
    if (last == LastStep::mean || last == LastStep::none)  // w times the score
      x_next = x_next - (h * w / from.sigma) * noise_from(meaning, d, x, from);
    if (last == LastStep::none) x_next = x_next + std::sqrt(2 * w * h) * problem.noise_like(x);
    if (!problem.step_done(i, x_next, clean)) return std::nullopt;
    x = x_next;
  }
  return x;
}

}  // namespace switchyard::sampler

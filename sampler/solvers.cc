#include "sampler/solvers.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <utility>

#include "io/near_misses.h"
#include "sampler/ddim.h"
#include "sampler/ddpm.h"
#include "sampler/dpm_solver.h"
#include "sampler/euler_maruyama.h"
#include "sampler/ode.h"
#include "sampler/unipc.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<SolverFacts, 14> kSolvers = {{
    // name             flow   discrete edm   noise  evaluations, leaves out the lowest
    {"euler", true, true, true, false, 1, false},
    {"heun", true, true, true, false, 2, false},
    {"midpoint", true, true, true, false, 2, false},
    {"adams_bashforth", true, true, true, false, 1, false},
    {"ddpm", false, true, false, true, 1, false},
    {"ddim", false, true, true, true, 1, false},
    {"euler_ancestral", false, true, true, true, 1, false},
    {"euler_stochastic", true, true, true, true, 1, false},
    {"dpmpp_2m", true, true, true, false, 1, true},
    {"dpmpp_3m", true, true, true, false, 1, true},
    {"dpmpp_2m_sde", true, true, true, true, 1, true},
    {"unipc", true, true, true, false, 1, true},
    {"edm_heun", false, true, true, true, 2, false},
    {"euler_maruyama", true, false, false, true, 1, false},
}};  // by enumerator

constexpr auto kSolverNames = [] {
  std::array<std::string_view, kSolvers.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kSolvers[i].name;
  return names;
}();

bool fits(const SolverFacts& solver, const Schedule& schedule) {
  return schedule.in_unit_time() ? solver.flow : schedule.is_discrete() ? solver.discrete : solver.edm;
}

void check_steps(const std::vector<Step>& steps) {
  if (steps.empty()) throw std::invalid_argument("solve: no steps, expected at least 1");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& [from, to] = steps[i];
    if (from.sigma > 0 && to.sigma >= 0 && to.alpha > 0 && to.sigma * from.alpha < from.sigma * to.alpha)
      continue;
    throw std::invalid_argument(
        c10::str("solve: step ", i, " from t = ", from.t, " to ", to.t, " does not get cleaner"));
  }
}

void check_times(const std::vector<double>& times) {
  if (times.size() < 2)
    throw std::invalid_argument(c10::str("solve: ", times.size(), " times, expected at least 2"));
  for (std::size_t i = 0; i < times.size(); ++i) {
    const bool falls = i == 0 || times[i] < times[i - 1];
    if (!(falls && 0.0 <= times[i] && times[i] <= 1.0)) {
      throw std::invalid_argument(
          c10::str("solve: times[", i, "] = ", times[i], ", expected values in 0..1 that fall"));
    }
  }
}

}  // namespace

const SolverFacts& facts(Solver solver) { return kSolvers.at(static_cast<std::size_t>(solver)); }

std::string_view to_string(Solver solver) { return facts(solver).name; }

Solver solver_from_name(std::string_view name) {
  return static_cast<Solver>(io::place_of_name("solver", name, kSolverNames));
}

std::span<const std::string_view> solver_names() { return kSolverNames; }

void require_fit(Solver solver, const Schedule& schedule) {
  if (fits(facts(solver), schedule)) return;
  std::string fitting;
  for (const auto& other : kSolvers) {
    if (fits(other, schedule)) fitting.append(fitting.empty() ? "" : ", ").append(other.name);
  }
  throw std::invalid_argument(c10::str("solver \"", to_string(solver), "\" is not for models of schedule \"",
                                       schedule.name(), "\"; these are: ", fitting));
}

std::optional<at::Tensor> solve(const SolverSettings& settings, const Problem& problem, at::Tensor x) {
  require_fit(settings.solver, problem.schedule);
  require_fit(problem.prediction, problem.schedule);
  check_steps(problem.steps);
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble) {
    throw std::invalid_argument(c10::str("solve: the state is ", x.scalar_type(), ", expected float32"));
  }
  switch (settings.solver) {
    case Solver::euler:
      return solve_euler(problem, std::move(x));
    case Solver::heun:
      return solve_heun(problem, std::move(x));
    case Solver::midpoint:
      return solve_midpoint(problem, std::move(x));
    case Solver::adams_bashforth:
      return solve_adams_bashforth(problem, std::move(x));
    case Solver::ddpm:
      return solve_ddpm(problem, std::move(x),
                        problem.prediction == Prediction::noise_and_variance ? Variance::learned_range
                                                                             : Variance::fixed_large);
    case Solver::ddim:
      return solve_ddim(problem, std::move(x), settings.eta);
    case Solver::euler_ancestral:
      return solve_euler_ancestral(problem, std::move(x));
    case Solver::euler_stochastic:
      return solve_euler_stochastic(problem, std::move(x));
    case Solver::dpmpp_2m:
      return solve_dpm(problem, std::move(x), {.order = 2});
    case Solver::dpmpp_3m:
      return solve_dpm(problem, std::move(x), {.order = 3});
    case Solver::dpmpp_2m_sde:
      return solve_dpm(problem, std::move(x), {.order = 2, .stochastic = true});
    case Solver::unipc:
      return solve_unipc(problem, std::move(x));
    case Solver::edm_heun:
      return solve_edm(problem, std::move(x), settings.churn);
    case Solver::euler_maruyama:
      return solve_euler_maruyama(problem, std::move(x), settings.diffusion);
  }
  throw std::invalid_argument("solve: no such solver");
}

std::vector<double> evaluation_times(const SolverSettings& settings, const Problem& problem) {
  // A rehearsal with an image of one pixel.
  const int64_t channels = problem.prediction == Prediction::noise_and_variance ? 2 : 1;
  std::vector<double> times;
  Problem rehearsal = problem;
  rehearsal.denoiser = [&](const at::Tensor& x, double t) {
    times.push_back(t);
    return at::zeros({1, channels}, x.options());
  };
  rehearsal.draw = [] { return at::zeros({1, 1}); };
  rehearsal.on_step = nullptr;
  solve(settings, rehearsal, at::zeros({1, 1}));
  return times;
}

std::optional<at::Tensor> solve(Solver solver, const Denoiser& velocity, at::Tensor z,
                                const std::vector<double>& times, const OnStep& on_step) {
  check_times(times);
  Problem problem{.denoiser = velocity, .on_step = on_step};
  for (std::size_t i = 0; i + 1 < times.size(); ++i) {
    problem.steps.push_back({problem.schedule.level(times[i]), problem.schedule.level(times[i + 1])});
  }
  return solve({.solver = solver}, problem, std::move(z));
}

}  // namespace switchyard::sampler

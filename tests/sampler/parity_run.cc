// The configurations of diffusers' schedulers, of the official DiT diffusion and of EDM, in this sampler's
// terms.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "parity_case.h"
#include "sampler/ddim.h"
#include "sampler/ddpm.h"
#include "sampler/dpm_solver.h"
#include "sampler/edm.h"
#include "sampler/grid.h"
#include "sampler/ode.h"
#include "sampler/spacing.h"
#include "sampler/unipc.h"

namespace switchyard::sampler {
namespace {

using Json = nlohmann::json;
using Solve = decltype(Solution::solve);

// A configuration whose settings have to be asked for, or are at a value that changes nothing.
class Config {
 public:
  Config(const ParityCase& c, const Json& json) : name_(c.name), json_(json) {}

  template <class T>
  T get(const char* key) {
    asked_.insert(key);
    return json_.at(key).get<T>();
  }
  template <class T>
  T get(const char* key, T otherwise) {
    asked_.insert(key);
    return json_.contains(key) && !json_.at(key).is_null() ? json_.at(key).get<T>() : otherwise;
  }
  void ignore(std::initializer_list<const char*> keys) { asked_.insert(keys.begin(), keys.end()); }

  void require_all_asked() const {
    for (const auto& [key, value] : json_.items()) {
      const bool off = value.is_null() || value == Json(false);
      if (!asked_.contains(key) && !off) {
        throw std::runtime_error(name_ + ": setting \"" + key + "\" = " + value.dump() +
                                 " is not known here");
      }
    }
  }

 private:
  std::string name_;
  const Json& json_;
  std::set<std::string> asked_;
};

Schedule schedule_of(Config& config) {
  const auto count = config.get<int>("num_train_timesteps");
  const auto first = config.get<double>("beta_start"), last = config.get<double>("beta_end");
  const auto name = config.get<std::string>("beta_schedule");
  if (name == "linear") return Schedule::of_betas("linear", linear_betas(count, first, last));
  if (name == "scaled_linear")
    return Schedule::of_betas("scaled_linear", scaled_linear_betas(count, first, last));
  if (name == "squaredcos_cap_v2") return Schedule::of_betas("cosine", cosine_betas(count));
  throw std::runtime_error("beta schedule " + name + " is not known here");
}

Prediction prediction_of(Config& config) {
  const auto name = config.get<std::string>("prediction_type");
  if (name == "epsilon") return Prediction::noise;
  if (name == "sample") return Prediction::clean_image;
  if (name == "v_prediction") return Prediction::v;
  throw std::runtime_error("prediction " + name + " is not known here");
}

Limit limit_of(Config& config) {
  const auto clip = config.get<bool>("clip_sample", false);
  const auto range = config.get<double>("clip_sample_range", 1);
  const auto threshold = config.get<bool>("thresholding", false);
  const auto quantile = config.get<double>("dynamic_thresholding_ratio", 0);
  const auto most = config.get<double>("sample_max_value", 1);
  return {.clip = clip ? range : 0,
          .threshold_quantile = threshold ? quantile : 0,
          .threshold_most = most,
          .noise_follows = false};
}

std::vector<double> timesteps_of(Config& config, const ParityCase& c, const Schedule& schedule,
                                 SpacingVariant variant) {
  variant.offset = config.get<int>("steps_offset");
  const auto name = config.get<std::string>("timestep_spacing");
  const auto& given = c.json.at("set_timesteps");
  if (given.contains("timesteps")) return given.at("timesteps").get<std::vector<double>>();
  const auto spacing = name == "leading"    ? Spacing::leading
                       : name == "trailing" ? Spacing::trailing
                       : name == "linspace"
                           ? Spacing::linspace
                           : throw std::runtime_error("spacing " + name + " is not known here");
  return spaced_timesteps(spacing, schedule.timesteps(), c.json.at("num_inference_steps").get<int>(),
                          variant);
}

Level last_level(Config& config, const Schedule& schedule) {
  const auto name = config.get<std::string>("final_sigmas_type", "zero");
  return name == "sigma_min" ? schedule.level(0) : schedule.clean();
}

Solution ddpm(const ParityCase& c, Config& config) {
  Solution run;
  auto& p = run.problem;
  p.schedule = schedule_of(config);
  p.prediction = prediction_of(config);
  p.limit = limit_of(config);
  p.steps = chain(levels_at(p.schedule, timesteps_of(config, c, p.schedule, {})), p.schedule.clean());
  const auto name = config.get<std::string>("variance_type");
  const auto variance = name == "fixed_small"   ? Variance::fixed_small
                        : name == "fixed_large" ? Variance::fixed_large
                                                : throw std::runtime_error("variance " + name);
  run.solve = [variance](const Problem& problem, at::Tensor x) { return solve_ddpm(problem, x, variance); };
  return run;
}

Solution ddim(const ParityCase& c, Config& config) {
  Solution run;
  auto& p = run.problem;
  p.schedule = schedule_of(config);
  p.prediction = prediction_of(config);
  p.limit = limit_of(config);
  const Level last = config.get<bool>("set_alpha_to_one") ? p.schedule.clean() : p.schedule.level(0);
  const int stride = p.schedule.timesteps() / c.json.at("num_inference_steps").get<int>();
  for (const double t : timesteps_of(config, c, p.schedule, {})) {
    p.steps.push_back({p.schedule.level(t), t < stride ? last : p.schedule.level(t - stride)});
  }
  const double eta = c.json.at("step_args").value("eta", 0.0);
  run.solve = [eta](const Problem& problem, at::Tensor x) { return solve_ddim(problem, x, eta); };
  return run;
}

// Euler, Heun and Euler ancestral, which hold x_0 + sigma noise.
Solution k_diffusion(const ParityCase& c, Config& config, Solve solve) {
  Solution run;
  auto& p = run.problem;
  config.ignore({"interpolation_type", "timestep_type", "clip_sample_range"});
  p.schedule = schedule_of(config);
  p.prediction = prediction_of(config);
  auto levels = levels_at(p.schedule, timesteps_of(config, c, p.schedule, {.fractional = true}));
  if (config.get<bool>("use_karras_sigmas", false)) {
    const auto ratios =
        karras_ratios(ratio(levels.front()), ratio(levels.back()), static_cast<int>(levels.size()));
    levels = levels_of_ratios(p.schedule, ratios, false);
  }
  p.steps = chain(levels, last_level(config, p.schedule));
  run.start_scale = levels.front().alpha;
  run.solve = std::move(solve);
  return run;
}

// DPM-Solver and UniPC.
void multistep(Solution& run, const ParityCase& c, Config& config) {
  auto& p = run.problem;
  config.ignore({"flow_shift", "time_shift_type"});
  p.schedule = schedule_of(config);
  p.prediction = prediction_of(config);
  p.limit = limit_of(config);
  const auto least = config.get<Json>("lambda_min_clipped", "-inf");
  const int end = least.is_number() ? end_of_lambda(p.schedule, least.get<double>()) : 0;
  const auto timesteps = timesteps_of(config, c, p.schedule, {.drop_lowest = true, .end = end});
  auto levels = levels_at(p.schedule, timesteps);
  if (config.get<bool>("use_karras_sigmas")) {
    const auto ratios = karras_ratios(ratio(p.schedule.level(p.schedule.timesteps() - 1)),
                                      ratio(p.schedule.level(0)), static_cast<int>(levels.size()));
    const bool whole = p.schedule.name() != "cosine" || config.get<std::string>("algorithm_type", "") == "";
    levels = levels_of_ratios(p.schedule, ratios, whole);
    for (auto& level : levels) level.t = std::trunc(level.t);  // timesteps are integers there
  }
  p.steps = chain(levels, last_level(config, p.schedule));
}

Solution dpm_solver(const ParityCase& c, Config& config) {
  Solution run;
  const DpmOptions options{
      .order = config.get<int>("solver_order"),
      .stochastic = config.get<std::string>("algorithm_type") == "sde-dpmsolver++",
      .heun = config.get<std::string>("solver_type") == "heun",
      .lower_order_final = config.get<bool>("lower_order_final"),
      .first_order_final = config.get<bool>("euler_at_final"),
  };
  multistep(run, c, config);
  run.solve = [options](const Problem& problem, at::Tensor x) { return solve_dpm(problem, x, options); };
  return run;
}

Solution unipc(const ParityCase& c, Config& config) {
  Solution run;
  const UnipcOptions options{
      .order = config.get<int>("solver_order"),
      .bh1 = config.get<std::string>("solver_type") == "bh1",
      .predict_noise = !config.get<bool>("predict_x0"),
      .lower_order_final = config.get<bool>("lower_order_final"),
      .without_corrector = config.get<std::vector<int>>("disable_corrector"),
  };
  multistep(run, c, config);
  run.solve = [options](const Problem& problem, at::Tensor x) { return solve_unipc(problem, x, options); };
  return run;
}

double shifted(double sigma, double shift) { return shift * sigma / (1 + (shift - 1) * sigma); }

Solution flow_match(const ParityCase& c, Config& config, const Solve& solve) {
  config.ignore({"base_image_seq_len", "base_shift", "max_image_seq_len", "max_shift"});
  const auto shift = config.get<double>("shift");
  const auto dynamic = config.get<bool>("use_dynamic_shifting", false);
  const auto kind = config.get<std::string>("time_shift_type", "exponential");
  const auto stochastic = config.get<bool>("stochastic_sampling", false);
  const auto count = config.get<double>("num_train_timesteps");
  const auto& given = c.json.at("set_timesteps");

  std::vector<double> sigmas;
  if (given.contains("sigmas")) {
    given.at("sigmas").get_to(sigmas);
  } else {  // between the ends of the table, which was shifted once already
    const double most = dynamic ? 1 : shifted(1, shift);
    const double least = dynamic ? 1 / count : shifted(1 / count, shift);
    const int n = c.json.at("num_inference_steps").get<int>();
    for (int i = 0; i < n; ++i) sigmas.push_back(n == 1 ? most : most + (least - most) * i / (n - 1));
  }
  for (double& sigma : sigmas) {
    if (!dynamic) {
      sigma = shifted(sigma, shift);
    } else {
      const double mu = given.at("mu").get<double>(), top = kind == "linear" ? mu : std::exp(mu);
      sigma = top / (top + (1 / sigma - 1));
    }
  }
  Solution run;
  run.problem.steps = chain(levels_at(run.problem.schedule, sigmas), run.problem.schedule.clean());
  run.solve = stochastic ? Solve(solve_euler_stochastic) : solve;
  return run;
}

Solution diffusers(const ParityCase& c) {
  Config config(c, c.json.at("config"));
  const auto scheduler = c.json.at("scheduler").get<std::string>();
  Solution run =
      scheduler == "DDPMScheduler"                     ? ddpm(c, config)
      : scheduler == "DDIMScheduler"                   ? ddim(c, config)
      : scheduler == "EulerDiscreteScheduler"          ? k_diffusion(c, config, solve_euler)
      : scheduler == "HeunDiscreteScheduler"           ? k_diffusion(c, config, solve_heun)
      : scheduler == "EulerAncestralDiscreteScheduler" ? k_diffusion(c, config, solve_euler_ancestral)
      : scheduler == "DPMSolverMultistepScheduler"     ? dpm_solver(c, config)
      : scheduler == "UniPCMultistepScheduler"         ? unipc(c, config)
      : scheduler == "FlowMatchEulerDiscreteScheduler" ? flow_match(c, config, solve_euler)
      : scheduler == "FlowMatchHeunDiscreteScheduler"  ? flow_match(c, config, solve_heun)
                                                       : throw std::runtime_error("scheduler " + scheduler);
  config.require_all_asked();
  return run;
}

Solution official_dit(const ParityCase& c) {
  Config config(c, c.json);
  const auto learned = config.get<bool>("learn_sigma"), small = config.get<bool>("sigma_small", false);
  const auto method = config.get<std::string>("method");
  const auto schedule = config.get<std::string>("schedule", "linear");
  config.ignore({"file", "float32_final_rel_error", "mixture", "noise_draws", "num_inference_steps"});

  Solution run;
  auto& p = run.problem;
  p.schedule = Schedule(schedule == "squaredcos_cap_v2" ? "cosine" : schedule);
  p.prediction = learned ? Prediction::noise_and_variance : Prediction::noise;
  p.limit.clip = config.get<bool>("clip") ? 1 : 0;
  const auto kept = space_timesteps(p.schedule.timesteps(), config.get<std::string>("respacing"));
  p.steps = chain(levels_at(p.schedule, std::vector<double>(kept.rbegin(), kept.rend())), p.schedule.clean());
  const auto eta = config.get<double>("eta", 0.0);
  config.require_all_asked();
  const auto variance = learned ? Variance::learned_range
                        : small ? Variance::fixed_small
                                : Variance::fixed_large;
  if (method == "ddpm") {
    run.solve = [variance](const Problem& problem, at::Tensor x) { return solve_ddpm(problem, x, variance); };
  } else if (method == "ddim") {
    run.solve = [eta](const Problem& problem, at::Tensor x) { return solve_ddim(problem, x, eta); };
  } else {
    throw std::runtime_error("method " + method + " is not known here");
  }
  return run;
}

Solution edm(const ParityCase& c) {
  Config config(c, c.json);
  config.ignore({"file", "float32_final_rel_error", "mixture", "noise_draws", "num_steps"});
  const auto algorithm = config.get<int>("algorithm"), n = c.json.at("num_steps").get<int>();
  Solution run;
  auto& p = run.problem;
  p.schedule = Schedule("edm");
  p.prediction = Prediction::clean_image;
  if (algorithm == 1) {
    const auto beta_d = config.get<double>("beta_d"), beta_min = config.get<double>("beta_min");
    const auto eps = config.get<double>("eps_s");
    const auto noise_at = [=](double t) { return vp_noise(t, beta_d, beta_min); };
    std::vector<double> times;
    for (int i = 0; i < n; ++i) times.push_back(n == 1 ? 1.0 : 1 + (eps - 1) * i / (n - 1));
    times.push_back(0);
    run.solve = [=](const Problem& problem, at::Tensor x) {
      return std::optional(solve_scaled_heun(problem.denoiser, x, times, noise_at));
    };
  } else {
    const auto ratios = karras_ratios(config.get<double>("sigma_max"), config.get<double>("sigma_min"), n,
                                      config.get<double>("rho"));
    p.steps = chain(levels_of_ratios(p.schedule, ratios, false), p.schedule.clean());
    const Churn churn{.amount = config.get<double>("S_churn"),
                      .t_min = config.get<double>("S_tmin"),
                      .t_max = config.get<double>("S_tmax"),
                      .noise = config.get<double>("S_noise")};
    const auto heun = config.get<bool>("heun");
    run.solve = [=](const Problem& problem, at::Tensor x) { return solve_edm(problem, x, churn, heun); };
  }
  config.require_all_asked();
  return run;
}

Solution official_flow(const ParityCase& c) {
  Config config(c, c.json);
  config.ignore({"file", "float32_final_rel_error", "mixture", "noise_draws", "num_steps"});
  config.require_all_asked();
  Solution run;
  run.problem.steps =
      steps_of(run.problem.schedule, Solver::euler, {.steps = c.json.at("num_steps").get<int>()});
  run.solve = solve_euler;
  return run;
}

}  // namespace

Solution run_of(const ParityCase& c) {
  const auto group = c.name.substr(0, c.name.find('/'));
  if (group == "diffusers") return diffusers(c);
  if (group == "dit") return official_dit(c);
  if (group == "edm") return edm(c);
  if (group == "flow") return official_flow(c);
  throw std::runtime_error("group " + group + " is not known here");
}

}  // namespace switchyard::sampler

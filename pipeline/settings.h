// How images are drawn: solver, grid of steps and guidance. And, stated once, what there is to know of every
// field: for_each_field feeds the JSON of PNGs and model files, the command line, `info` (settings_text.h) and
// widgets.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dit/config.h"
#include "sampler/grid.h"
#include "sampler/guidance.h"
#include "sampler/problem.h"
#include "sampler/quality.h"
#include "sampler/solvers.h"

namespace switchyard::pipeline {

/// How numbers x in -1 .. 1 become bytes: round(127.5 (x + 1)), halves to even, or, as the official samplers have it,
/// 127.5 x + 128 without its fraction. The same but for numbers between two levels, where the last bit decides.
enum class Quantization { round, truncate };
std::span<const std::string_view> quantization_names();
std::string_view to_string(Quantization quantization);
Quantization quantization_from_name(std::string_view name);  // throws std::invalid_argument with near misses

/// The same for every image of a request. A field without meaning for the model must stay at its default.
struct Settings {
  sampler::SolverSettings solver = {};
  sampler::GridSettings grid = {};
  sampler::Guidance guidance{.scale = 2.0};
  double clip = 0;           // above 0: predicted clean images are kept within -clip .. clip
  int64_t weak_experts = 0;  // above 0: autoguidance, away from the same class's image with so many experts
                             // per token
  Quantization quantization = Quantization::round;

  bool operator==(const Settings&) const = default;
};

/// The numbers that a field takes; finite ones, unless said otherwise. Finite ends are whole.
struct Range {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool open = false;      // without its ends
  bool infinite = false;  // infinity too

  bool holds(double value) const;
  std::string text() const;  // "1 .. 10000", "positive", "0 or more", "above -1 and below 1", "a number"
};

/// Why a field changes nothing, given the model and the other settings; empty where it has meaning.
using Idle = std::string (*)(const dit::ModelConfig&, const Settings&);

struct Field {
  const char* name;             // in JSON; "guidance.scale" is {"guidance": {"scale": ...}}
  const char* option;           // of the command line; two neighbours with the same one are its two values
  const char* help;             // one sentence, without a stop
  Idle idle = nullptr;          // null: always has meaning
  Range range = {};             // of numbers
  const char* label = nullptr;  // what other image tools call it, where not as the option
  int64_t dit::ModelConfig::*most = nullptr;  // where the model has an upper end for it
};

/// What the field's numbers may be for a model.
Range range_of(const Field& field, const dit::ModelConfig& config);

bool has_meaning(const Field& field, const dit::ModelConfig& config, const Settings& settings);

/// The names of a field that is a choice, in the order of its enum.
inline std::span<const std::string_view> names_of(sampler::Solver) { return sampler::solver_names(); }
inline std::span<const std::string_view> names_of(sampler::GuidanceKind) {
  return sampler::guidance_kind_names();
}
inline std::span<const std::string_view> names_of(sampler::DiffusionForm) {
  return sampler::diffusion_form_names();
}
inline std::span<const std::string_view> names_of(sampler::LastStep) { return sampler::last_step_names(); }
inline std::span<const std::string_view> names_of(Quantization) { return quantization_names(); }

namespace idle {                                                     // why fields have no meaning
std::string counted(const dit::ModelConfig&, const Settings&);       // spacings that are counts
std::string not_discrete(const dit::ModelConfig&, const Settings&);  // other schedules
std::string not_flow(const dit::ModelConfig&, const Settings&);
std::string not_in_unit_time(const dit::ModelConfig&, const Settings&);
std::string not_edm(const dit::ModelConfig&, const Settings&);
std::string not_ddim(const dit::ModelConfig&, const Settings&);  // other solvers
std::string not_edm_heun(const dit::ModelConfig&, const Settings&);
std::string not_churned(const dit::ModelConfig&, const Settings&);
std::string not_euler_maruyama(const dit::ModelConfig&, const Settings&);
std::string not_guided(const dit::ModelConfig&, const Settings&);
std::string not_rescaled(const dit::ModelConfig&, const Settings&);  // other kinds of guidance
std::string not_zero_star(const dit::ModelConfig&, const Settings&);
std::string not_projected(const dit::ModelConfig&, const Settings&);
std::string not_routed(const dit::ModelConfig&, const Settings&);
}  // namespace idle

/// Calls visit(const Field&, value&...) for every field, with its value in each of the settings `s`: a double,
/// int, int64_t, std::string, or one of the enums of names_of().
template <class Visitor, class... Self>
void for_each_field(Visitor visit, Self&... s) {
  constexpr double inf = std::numeric_limits<double>::infinity();
  constexpr Range any{}, share{0, 1}, within_one{-1, 1, true}, positive{0, inf, true}, not_negative{0, inf},
      to_infinity{0, inf, false, true}, many{0, 1e6};
  constexpr const char *churned = "Churn only where sigma / alpha is between these (S_tmin, S_tmax)",
                       *guided = "Guide only at times t in LOW .. HIGH (1: noise, 0: image)";

  visit(Field{"solver", "--solver", "The method that goes from noise to image"}, s.solver.solver...);
  visit(Field{"steps", "--steps", "Steps from noise to image", idle::counted, {1, 10'000}}, s.grid.steps...);
  visit(Field{"spacing", "--spacing",
              "Timesteps of DDPM models: even, ddim, leading, trailing, linspace, karras, or counts such as "
              "10,20,30 in place of steps; default: as fits the solver",
              idle::not_discrete, any, "Schedule type"},
        s.grid.spacing...);
  visit(Field{"shift", "--shift", "Above 1: more of the steps near the noise", idle::not_in_unit_time,
              positive},
        s.grid.shift...);

  visit(Field{"eta", "--eta", "Fresh noise of ddim", idle::not_ddim, share}, s.solver.eta...);
  visit(Field{"churn.amount", "--churn", "Fresh noise of edm_heun over all steps (S_churn)",
              idle::not_edm_heun, not_negative, "Sigma churn"},
        s.solver.churn.amount...);
  visit(Field{"churn.t_min", "--churn-interval", churned, idle::not_churned, not_negative},
        s.solver.churn.t_min...);
  visit(Field{"churn.t_max", "--churn-interval", churned, idle::not_churned, to_infinity},
        s.solver.churn.t_max...);
  visit(Field{"churn.noise", "--churn-noise", "Standard deviation of the churn's noise (S_noise)",
              idle::not_churned, not_negative},
        s.solver.churn.noise...);
  visit(Field{"diffusion.form", "--diffusion", "Fresh noise of euler_maruyama, over time",
              idle::not_euler_maruyama, any, "Diffusion form"},
        s.solver.diffusion.form...);
  visit(Field{"diffusion.norm", "--diffusion-norm", "How much of it", idle::not_euler_maruyama, not_negative},
        s.solver.diffusion.norm...);
  visit(Field{"diffusion.last_step", "--last-step", "How euler_maruyama makes its last step",
              idle::not_euler_maruyama},
        s.solver.diffusion.last...);
  visit(Field{"diffusion.last_step_size", "--last-step-size",
              "Time left for the last step of euler_maruyama; 0: as much as for the others",
              idle::not_euler_maruyama, share},
        s.grid.last_step...);
  visit(
      Field{"sigma_min", "--sigma-min", "Of edm models: sigma before the last step", idle::not_edm, positive},
      s.grid.sigma_min...);
  visit(Field{"sigma_max", "--sigma-max", "Of edm models: sigma of the noise", idle::not_edm, positive},
        s.grid.sigma_max...);
  visit(Field{"rho", "--rho", "Of edm models: above 1, more of the steps near the image", idle::not_edm,
              positive},
        s.grid.rho...);
  visit(Field{"clip", "--clip", "Keep predicted clean images within -C .. C; 0: off", nullptr, many},
        s.clip...);

  visit(Field{"guidance.scale", "--guidance",
              "How strongly to insist on the class; 1: no guidance, in half the time"},
        s.guidance.scale...);
  visit(Field{"guidance.t_low", "--guidance-interval", guided, idle::not_guided, share}, s.guidance.t_low...);
  visit(Field{"guidance.t_high", "--guidance-interval", guided, idle::not_guided, share},
        s.guidance.t_high...);
  visit(Field{"guidance.kind", "--guidance-kind", "How the two predictions become one", idle::not_guided, any,
              "Guidance"},
        s.guidance.kind...);
  visit(Field{"guidance.channels", "--guidance-channels",
              "Guide the first N channels alone (official DiT-MoE samples: 3); 0: all", idle::not_guided,
              many, nullptr, &dit::ModelConfig::in_channels},
        s.guidance.channels...);
  visit(Field{"guidance.rescale", "--guidance-rescale", "Of rescaled: how much of it", idle::not_rescaled,
              share},
        s.guidance.rescale...);
  visit(Field{"guidance.zero_from", "--guidance-zero-from",
              "Of cfg_zero_star: nothing moves at times t from here up; above 1: nowhere",
              idle::not_zero_star, positive},
        s.guidance.zero_from...);
  visit(Field{"guidance.parallel", "--guidance-parallel",
              "Of adaptive_projected: how much of the part along the image stays (eta)", idle::not_projected},
        s.guidance.parallel...);
  visit(Field{"guidance.longest", "--guidance-longest",
              "Of adaptive_projected: most length of the difference; 0: no bound", idle::not_projected,
              not_negative},
        s.guidance.longest...);
  visit(Field{"guidance.momentum", "--guidance-momentum",
              "Of adaptive_projected: how much of the steps before stays; 0: nothing", idle::not_projected,
              within_one},
        s.guidance.momentum...);
  visit(Field{"weak_experts", "--weak-experts",
              "Autoguidance: guide away from the same model with N experts per token instead of from no "
              "class; 0: off",
              idle::not_routed, many, "Guided by experts", &dit::ModelConfig::experts_per_token},
        s.weak_experts...);
  visit(Field{"quantization", "--quantization",
              "How numbers become bytes: round, or truncate as official samplers do (the same but for last bits)"},
        s.quantization...);
}

/// The steps that these settings mean for a model. Throws std::invalid_argument for settings out of range or
/// that the model's schedule has no use for.
std::vector<sampler::Step> steps_of(const dit::ModelConfig& config, const Settings& settings);

/// The solver's problem, but for the model and the noise. Throws as steps_of().
sampler::Problem problem_of(const dit::ModelConfig& config, const Settings& settings);

/// Throws std::invalid_argument for what no image can be drawn with: a number out of its range for this model
/// ("eta is 2, expected 0 .. 1"), an interval the wrong way round, a solver or spacing that the model's
/// schedule does not have, guidance of a model that has nothing to guide away from.
void validate(const dit::ModelConfig& config, const Settings& settings);

/// Sets the fields without meaning back to their defaults. Returns those that had another value, and why
/// each changed nothing.
std::vector<std::pair<Field, std::string>> drop_idle(const dit::ModelConfig& config, Settings& settings);

/// The sampler's choice for the model's objective; without guidance, of a model without a null class.
Settings chosen(sampler::Quality quality, const dit::ModelConfig& config);

/// What a model draws with unless told otherwise: the settings that its file carries (dit::ModelFile), or,
/// where that is null, the sampler's choice. A field that the file leaves out is at its default (1 for the guidance of
/// a model without a null class). Throws
/// io::InputError naming `source` and the field.
Settings settings_for(const dit::ModelConfig& config, const nlohmann::json& own,
                      const std::string& source = "the model",
                      sampler::Quality otherwise = sampler::Quality::balanced);

}  // namespace switchyard::pipeline

#include "pipeline/settings.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <type_traits>

#include "io/error.h"
#include "io/near_misses.h"
#include "pipeline/settings_text.h"
#include "sampler/schedule.h"

namespace switchyard::pipeline {
namespace {

bool is_flow(const dit::ModelConfig& config) { return config.schedule == "rectified_flow"; }
bool is_in_unit_time(const dit::ModelConfig& config) { return is_flow(config) || config.schedule == "gvp"; }
bool is_edm(const dit::ModelConfig& config) { return config.schedule == "edm"; }

std::string unless(bool meant, const char* wanted, const dit::ModelConfig& config) {
  return meant ? "" : c10::str("it is for ", wanted, ", the model's schedule is ", config.schedule);
}

std::string unless(sampler::Solver wanted, const Settings& settings) {
  const auto solver = settings.solver.solver;
  return solver == wanted ? ""
                          : c10::str("it is for ", to_string(wanted), ", the solver is ", to_string(solver));
}

std::string unless(sampler::GuidanceKind wanted, const Settings& settings) {
  const auto kind = settings.guidance.kind;
  if (settings.guidance.scale == 1) return idle::not_guided({}, settings);
  return kind == wanted ? "" : c10::str("it is for ", to_string(wanted), ", the kind is ", to_string(kind));
}

constexpr std::array<std::string_view, 2> kQuantizationNames{"round", "truncate"};

}  // namespace

std::span<const std::string_view> quantization_names() { return kQuantizationNames; }

std::string_view to_string(Quantization quantization) {
  return kQuantizationNames.at(static_cast<size_t>(quantization));
}

Quantization quantization_from_name(std::string_view name) {
  return static_cast<Quantization>(io::place_of_name("quantization", name, kQuantizationNames));
}

bool Range::holds(double value) const {
  if (!std::isfinite(value) && !(infinite && value > 0)) return false;
  return open ? low < value && value < high : low <= value && value <= high;
}

std::string Range::text() const {
  if (std::isfinite(high)) {  // both ends are whole
    const auto least = static_cast<int64_t>(low), most = static_cast<int64_t>(high);
    return open ? c10::str("above ", least, " and below ", most) : c10::str(least, " .. ", most);
  }
  return !std::isfinite(low) ? "a number" : open ? "positive" : "0 or more";
}

Range range_of(const Field& field, const dit::ModelConfig& config) {
  auto range = field.range;
  if (field.most != nullptr) range.high = static_cast<double>(config.*field.most);
  return range;
}

bool has_meaning(const Field& field, const dit::ModelConfig& config, const Settings& settings) {
  return field.idle == nullptr || field.idle(config, settings).empty();
}

namespace idle {

std::string counted(const dit::ModelConfig& config, const Settings& settings) {
  const auto& spacing = settings.grid.spacing;  // where it is no count, it is a word
  const bool counts = spacing.find_first_of("0123456789") != std::string::npos;
  return counts && not_discrete(config, settings).empty() ? "spacing " + spacing + " says how many" : "";
}

std::string not_discrete(const dit::ModelConfig& config, const Settings&) {
  return unless(!is_in_unit_time(config) && !is_edm(config), "DDPM", config);
}

std::string not_flow(const dit::ModelConfig& config, const Settings&) {
  return unless(is_flow(config), "rectified flow", config);
}

std::string not_in_unit_time(const dit::ModelConfig& config, const Settings&) {
  return unless(is_in_unit_time(config), "rectified flow and gvp", config);
}

std::string not_edm(const dit::ModelConfig& config, const Settings&) {
  return unless(is_edm(config), "edm", config);
}

std::string not_ddim(const dit::ModelConfig&, const Settings& settings) {
  return unless(sampler::Solver::ddim, settings);
}

std::string not_edm_heun(const dit::ModelConfig&, const Settings& settings) {
  return unless(sampler::Solver::edm_heun, settings);
}

std::string not_euler_maruyama(const dit::ModelConfig&, const Settings& settings) {
  return unless(sampler::Solver::euler_maruyama, settings);
}

std::string not_churned(const dit::ModelConfig& config, const Settings& settings) {
  const auto why = not_edm_heun(config, settings);
  return why.empty() && settings.solver.churn.amount == 0 ? "a churn of 0 is none" : why;
}

std::string not_guided(const dit::ModelConfig&, const Settings& settings) {
  return settings.guidance.scale == 1 ? "a guidance of 1 is none" : "";
}

std::string not_rescaled(const dit::ModelConfig&, const Settings& settings) {
  return unless(sampler::GuidanceKind::rescaled, settings);
}

std::string not_zero_star(const dit::ModelConfig& config, const Settings& settings) {
  const auto why = unless(sampler::GuidanceKind::cfg_zero_star, settings);
  return why.empty() ? not_flow(config, settings) : why;
}

std::string not_projected(const dit::ModelConfig&, const Settings& settings) {
  return unless(sampler::GuidanceKind::adaptive_projected, settings);
}

std::string not_routed(const dit::ModelConfig& config, const Settings& settings) {
  return config.routes_tokens() ? not_guided(config, settings) : "the model routes no tokens";
}

}  // namespace idle

std::vector<sampler::Step> steps_of(const dit::ModelConfig& config, const Settings& settings) {
  return sampler::steps_of(sampler::Schedule(config.schedule), settings.solver.solver, settings.grid);
}

sampler::Problem problem_of(const dit::ModelConfig& config, const Settings& settings) {
  sampler::Problem problem;
  problem.schedule = sampler::Schedule(config.schedule);
  // A rectified flow is guided and solved in its velocity, whatever the model predicts.
  problem.prediction = problem.schedule.is_flow() ? sampler::Prediction::velocity
                                                  : sampler::prediction_from_name(config.prediction);
  problem.steps = steps_of(config, settings);
  problem.limit.clip = settings.clip;
  return problem;
}

void validate(const dit::ModelConfig& config, const Settings& settings) {
  const auto require_range = [&](const Field& field, const auto& value) {
    if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>) {
      const auto range = has_meaning(field, config, settings) ? range_of(field, config) : field.range;
      if (range.holds(static_cast<double>(value))) return;
      throw std::invalid_argument(c10::str(field.name, " is ", text_of(value), ", expected ", range.text()));
    }
  };
  for_each_field(require_range, settings);
  sampler::validate(settings.guidance);
  if (!config.has_null_class && settings.guidance.scale != 1 && settings.weak_experts == 0) {
    throw std::invalid_argument(
        c10::str("guidance.scale is ", text_of(settings.guidance.scale),
                 ", and the model has no null class to guide away from; guidance must be 1",
                 config.routes_tokens() ? ", or weak_experts above 0 for autoguidance" : ""));
  }
  sampler::validate(settings.solver.churn);
  steps_of(config, settings);
}

std::vector<std::pair<Field, std::string>> drop_idle(const dit::ModelConfig& config, Settings& settings) {
  const Settings given = settings, usual;
  std::vector<std::pair<Field, std::string>> dropped;
  const auto reset = [&](const Field& field, auto& value, const auto& as_usual) {
    if (value == as_usual || has_meaning(field, config, given)) return;
    value = as_usual;
    dropped.emplace_back(field, field.idle(config, given));
  };
  for_each_field(reset, settings, usual);
  return dropped;
}

Settings chosen(sampler::Quality quality, const dit::ModelConfig& config) {
  const auto choice = sampler::choose(quality, sampler::Schedule(config.schedule),
                                      sampler::prediction_from_name(config.prediction));
  Settings settings{.solver = choice.solver, .grid = choice.grid, .guidance = choice.guidance};
  if (!config.has_null_class) settings.guidance.scale = 1;
  return settings;
}

Settings settings_for(const dit::ModelConfig& config, const nlohmann::json& own, const std::string& source,
                      sampler::Quality otherwise) {
  if (own.is_null()) return chosen(otherwise, config);
  Settings settings;
  if (!config.has_null_class) settings.guidance.scale = 1;
  try {
    read_settings(own, settings);
    drop_idle(config, settings);
    validate(config, settings);
  } catch (const std::invalid_argument& error) {
    throw io::InputError(source + ": its settings: " + error.what());
  }
  return settings;
}

}  // namespace switchyard::pipeline

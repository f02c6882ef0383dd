#include "app/cli/idle_options.h"

#include "sampler/guidance.h"
#include "sampler/solvers.h"

namespace switchyard::app {

std::vector<std::string> idle_options(const SampleOptions& options, const pipeline::Settings& settings) {
  std::vector<std::string> idle;
  const auto note = [&](bool given, const std::string& option, const std::string& why) {
    if (given) idle.push_back(option + " changes nothing: " + why);
  };

  const std::string the_solver = "the solver is " + std::string(to_string(settings.solver));
  note(options.eta > 0.0 && settings.solver != sampler::Solver::ddim, "--eta",
       "it is for ddim, " + the_solver);
  note(options.churn > 0.0 && settings.solver != sampler::Solver::edm_heun, "--churn",
       "it is for edm_heun, " + the_solver);

  if (settings.guidance.scale == 1) {
    const std::string unguided = "a guidance of 1 is none";
    note(options.guidance_interval.has_value(), "--guidance-interval", unguided);
    note(options.guidance_kind.has_value(), "--guidance-kind", unguided);
    note(options.guidance_channels.has_value(), "--guidance-channels", unguided);
    note(options.guidance_rescale.has_value(), "--guidance-rescale", unguided);
    note(options.weak_experts > 0, "--weak-experts", unguided);
  } else if (settings.guidance.kind != sampler::GuidanceKind::rescaled) {
    note(options.guidance_rescale.has_value(), "--guidance-rescale",
         "it is for --guidance-kind rescaled, the kind is " + std::string(to_string(settings.guidance.kind)));
  }

  if (options.grid.empty()) {
    note(options.columns.has_value(), "--columns", "it is for --grid");
    note(options.zoom != 1, "--zoom", "it is for --grid");
  }
  return idle;
}

}  // namespace switchyard::app

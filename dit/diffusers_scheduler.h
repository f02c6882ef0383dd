// A scheduler_config.json of diffusers: the objective that the model was trained for, and how it is drawn from.
//
// What a scheduler does not say of a run is as DiTPipeline has it: 50 steps, guidance 4. The schedulers that have a solver
// here are DDIM, DDPM, DPMSolverMultistep (order 2 and 3, and the stochastic order 2) and EulerDiscrete; of any other one the
// objective alone is taken. Source: diffusers/schedulers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace switchyard::dit {

struct DiffusersScheduler {
  std::string name;                   // "DDIMScheduler"
  std::string schedule, prediction;   // of ModelConfig
  nlohmann::json settings;            // as ModelFile::settings; null where there is no such solver
  std::vector<std::string> left_out;  // what it says and this program does not do
};

/// `learned_variance`: the model answers with one beside its noise. Throws io::InputError naming `source` and the field: an
/// unknown schedule of betas (and those that are known), betas of its own, a prediction of another kind.
DiffusersScheduler diffusers_scheduler(const nlohmann::json& config, bool learned_variance,
                                       const std::string& source);

}  // namespace switchyard::dit

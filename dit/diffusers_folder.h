// What diffusers writes, as a model to open: a DiTPipeline's folder, its transformer's folder, or a file of the latter.
//
//   model_index.json   {"_class_name": "DiTPipeline", "id2label": {"0": "tench, Tinca tinca", ...}}
//   transformer/       config.json and weights (diffusers_weights.h, diffusers_transformer.h)
//   scheduler/         scheduler_config.json (diffusers_scheduler.h): objective and settings; may be absent
//   vae/               the decoder; may be absent
//
// Without a scheduler the objective is the published one: noise with a learned variance on the linear schedule.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "dit/official_checkpoint.h"
#include "io/state_dict.h"

namespace switchyard::dit {

struct DiffusersModel {
  ModelConfig config;
  std::map<std::string, Origin> origin;                // of what nothing in the folder says
  io::StateDict tensors;                               // as load_state takes them
  nlohmann::json settings;                             // of the scheduler, or null
  nlohmann::json metadata = nlohmann::json::object();  // what was read and what was left out, for people
  std::filesystem::path decoder;                       // the pipeline's vae, or empty
};

/// Whether the path is such a folder, or a model_index.json or an index of shards: by names and, of a folder that is no
/// pipeline's, by what its config.json says it is.
bool is_diffusers(const std::filesystem::path& path);

/// The files that hold the numbers of such a path: one, or shards. Throws io::InputError.
std::vector<std::filesystem::path> weight_files(const std::filesystem::path& path);

/// Throws io::InputError naming the file: none of the above, or anything wrong with one of them.
DiffusersModel open_diffusers(const std::filesystem::path& path);

/// The same for a transformer's tensors that were read already from `file`: config.json has to be beside it.
DiffusersModel open_diffusers(const std::filesystem::path& file, io::StateDict tensors);

}  // namespace switchyard::dit

// The tensors of a folder that diffusers' save_pretrained wrote: in one file, or in shards that an index names.
//
// Looked for, in this order: diffusion_pytorch_model as .safetensors, as shards of it (.safetensors.index.json), as the
// variant fp16 of both, as .bin, as shards of that, and .fp16.bin. An index is {"metadata": {...}, "weight_map":
// {"tensor": "file in the same folder"}}. Source: the files themselves, as diffusers writes them.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/state_dict.h"

namespace switchyard::dit {

struct DiffusersWeights {
  std::vector<std::filesystem::path> files;          // one, or the shards in the order of their names
  std::filesystem::path index = {};                  // of shards
  std::map<std::string, std::string> shard_of = {};  // of shards: the name of each tensor's file
};

/// Throws io::InputError: no such file in the folder (and which there could be), or an index that is none, that names
/// files that are absent or not in this folder.
DiffusersWeights find_weights(const std::filesystem::path& folder);

/// The same for an index that is known.
DiffusersWeights read_index(const std::filesystem::path& index);

/// All tensors, mapped and not read. Throws io::InputError also where shards and index disagree: a tensor that comes twice,
/// that its shard does not hold, or that the index does not name.
io::StateDict read_weights(const DiffusersWeights& weights);

}  // namespace switchyard::dit

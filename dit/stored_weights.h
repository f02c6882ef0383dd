// Which tensors of a checkpoint are the model's, whatever the training framework called and wrapped them.
//
// Understood are state dicts and modules that were saved whole, at any depth of a checkpoint, under any key ("ema",
// "model_ema", "module", "state_dict", ...); names with the prefixes of wrappers (module., _orig_mod., _fsdp_wrapped_module.,
// _checkpoint_wrapped_module., anywhere in a name) or of the object that held the model ("model.", "net.", "ema.");
// torch_ema's shadow_params, which have no names; and tensors of known companions beside the model (REPA's projectors),
// which are left out.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <optional>
#include <string>

#include "io/torch_value.h"

namespace switchyard::dit {

struct StoredWeights {
  std::string name;                           // where they were: "ema", "state_dict/model"; empty at the top
  std::map<std::string, at::Tensor> tensors;  // by their names in the model
  std::map<std::string, std::string> companions;  // what was left out: {"projectors", "12 tensors of REPA"}
};

/// Throws io::InputError: the file holds one set of weights, there is no `wanted` to choose.
[[noreturn]] void refuse_choice(const std::string& wanted, const std::string& source);

/// `wanted`: "ema" for averaged weights, "model" for those that are trained, or the name of either; averaged ones where
/// nothing is wanted and there are any. A file in which no state dict looks like a model's gives that of its top. Throws
/// io::InputError naming `source`: no tensors at all, no such weights (and which there are), or shadow_params that do
/// not go with the parameters.
StoredWeights stored_weights(const io::TorchValue& tree, const std::optional<std::string>& wanted,
                             const std::string& source);

/// The same of the tensors of a flat file.
StoredWeights stored_weights(const std::map<std::string, at::Tensor>& tensors,
                             const std::optional<std::string>& wanted, const std::string& source);

}  // namespace switchyard::dit

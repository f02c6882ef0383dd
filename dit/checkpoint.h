// The tensors of a checkpoint, by their official names, into a model.
#pragma once

#include <map>
#include <string>

#include "dit/transformer.h"

namespace switchyard::dit {

/// What a file promises is checked against what it holds before anything is allocated: throws io::InputError
/// where the configuration asks for far more numbers than there are. The slack leaves it to load_state to
/// name a tensor that is missing.
void require_numbers_for(const ModelConfig& config, const std::map<std::string, at::Tensor>& tensors,
                         const std::string& source);

/// Copies tensors by name into the model. Both attention key styles are understood ("attn.qkv" / "attn.Wqkv",
/// "attn.proj" / "attn.out_proj"), so are a qkv in three ("attn.q", "attn.k", "attn.v"), and tensors of
/// derived_state() may be there if they are equal. Throws io::InputError listing missing, surplus and wrongly
/// shaped tensors; `source` names the file.
void load_state(DiffusionTransformer& model, const std::map<std::string, at::Tensor>& tensors,
                const std::string& source);

}  // namespace switchyard::dit

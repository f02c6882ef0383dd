// diffusers' DiTTransformer2DModel as a model of ours: its config.json and its tensors, which are DiT's (Peebles and Xie
// 2023) under other names.
//
// What differs from the official code: queries, keys and values have a matrix each; every block has its own embedders of
// timestep and class (in models converted from official ones they are all equal, and become one here); the frequencies of
// the timestep end at 1 / 10000; the feed-forward's layer norm has an eps of its own; the position embedding is not
// stored. Source: diffusers/models/transformers/dit_transformer_2d.py and the layers that it uses.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "dit/config.h"
#include "io/state_dict.h"

namespace switchyard::dit {

struct DiffusersTransformer {
  ModelConfig config;     // the objective is the published one; that of a pipeline is its scheduler's
  io::StateDict tensors;  // as load_state takes them: official names, but attn.q, attn.k and attn.v apart
};

/// A tensor that every such model has, and no other.
inline constexpr const char* kDiffusersFirst = "transformer_blocks.0.norm1.linear.weight";

/// Whether a config.json is such a model's.
bool is_diffusers_transformer(const nlohmann::json& config);

/// Throws io::InputError naming `source`: another kind of model, parts that it may have and this program has not, sizes
/// that are out of range, and tensors that are missing or surplus (at most ten). Reads the embedders, to compare them;
/// allocates nothing but the position embedding.
DiffusersTransformer diffusers_transformer(const nlohmann::json& config, io::StateDict tensors,
                                           const std::string& source);

}  // namespace switchyard::dit

// Checkpoints of the official DiT, DTR, Switch-DiT and DiT-MoE code: what the model is, from its tensors.
//
// Such files hold tensors and at most the arguments of the training run. Sizes follow from the tensors; the
// rest follows from the arguments or is assumed, and every field says which.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "dit/config.h"

namespace switchyard::dit {

enum class Origin {
  tensors,    // names, shapes and values of the tensors
  arguments,  // the stored training arguments
  given,      // by whoever loads it
  published,  // what the family's published models use
  guessed,    // the file does not say, and nothing published has this size
};

std::string_view to_string(Origin origin);  // "from the tensors", "assumed: published use", ...

/// What the one who loads the file knows better.
struct CheckpointHints {
  std::optional<int64_t> num_heads = {}, experts_per_token = {}, experts_per_timestep = {}, num_classes = {};
  std::optional<std::string> schedule = {}, prediction = {};
  std::optional<bool> toward_image = {};
};

struct InferredConfig {
  ModelConfig config;
  std::map<std::string, Origin> origin;  // by field; fields that are not there have no choice
};

/// Of `labels` rows of a table of classes, `num_classes` are classes: all of them, or all but the last one, which then
/// is the null class. Names of classes stay only where there are as many. Throws std::invalid_argument for another
/// number, with those that are possible.
void set_num_classes(ModelConfig& config, int64_t labels, int64_t num_classes);

/// `arguments` are the stored training arguments, null for none; keys that are not known are ignored, and so
/// are values that contradict the tensors. What cannot be in the tensors: the number of heads (but for q/k
/// norms), how many experts a token picks, whether the last row of the table of classes is the null class, and the
/// objective. Throws io::InputError naming `source` and the
/// first tensor that is missing or of an impossible shape, or the field whose value is impossible.
InferredConfig infer_config(const std::map<std::string, at::Tensor>& tensors, const nlohmann::json& arguments,
                            const CheckpointHints& hints, const std::string& source);

}  // namespace switchyard::dit

// Models as files: one safetensors file with the official tensor names and the configuration in its metadata.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "dit/transformer.h"

namespace switchyard::dit {

/// The metadata key that holds the configuration: {"version": 1, "config": {...}, "training": {...}} as JSON.
inline constexpr const char* kMetadataKey = "switchyard";

struct LoadedModel {
  DiffusionTransformer model;
  std::string training;  // how it was trained, as JSON; "{}" if the file does not say
};

/// Reads a model of ours, on the CPU, computing in `dtype` (default: fp32). Throws io::InputError naming the
/// file and what is wrong with it: not ours, another version, a bad configuration, missing, surplus or
/// wrongly shaped tensors (at most ten).
LoadedModel load_model(const std::filesystem::path& path, at::ScalarType dtype = at::kFloat);

/// The same for the bytes of such a file; `name` stands in for the path in messages. The bytes are copied.
LoadedModel load_model(std::span<const std::byte> bytes, const std::string& name,
                       at::ScalarType dtype = at::kFloat);

/// Writes the model whole or not at all, its tensors as `dtype`. Throws io::OutputError.
void save_model(const std::filesystem::path& path, DiffusionTransformer& model,
                const std::string& training_json, at::ScalarType dtype = at::kBFloat16);

/// What a file promises is checked against what it holds before anything is allocated: throws io::InputError
/// where the configuration asks for far more numbers than there are. The slack leaves it to load_state to
/// name a tensor that is missing.
void require_numbers_for(const ModelConfig& config, const std::map<std::string, at::Tensor>& tensors,
                         const std::string& source);

/// Copies tensors by name into the model. Both attention key styles are understood ("attn.qkv" / "attn.Wqkv",
/// "attn.proj" / "attn.out_proj"), and tensors of derived_state() may be there if they are equal. Throws
/// io::InputError listing missing, surplus and wrongly shaped tensors; `source` names the file.
void load_state(DiffusionTransformer& model, const std::map<std::string, at::Tensor>& tensors,
                const std::string& source);

}  // namespace switchyard::dit

// A model file of any kind, opened: what the model is, and its tensors where they lie.
//
// Understood are our own files (safetensors with the configuration in the metadata), safetensors files that
// hold the official tensor names alone, PyTorch's .pt in both formats: the official training checkpoints
// ({"ema", "model", "opt", "args"}) and bare state dicts; and what diffusers writes (diffusers_folder.h). Opening
// maps the file; weights are read when the model is made of them.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "dit/official_checkpoint.h"
#include "dit/transformer.h"

namespace switchyard::dit {

/// The metadata key that holds the configuration: {"version": 1, "config": {...}, "training": {...},
/// "settings": {...}, "fast_settings": {...}} as JSON. Settings are those that the model draws best with, and those
/// that it draws well with in little time; a file need not have any.
inline constexpr const char* kMetadataKey = "switchyard";

struct OpenOptions {
  std::optional<std::string> weights =
      {};                      // "ema" or "model", where a file holds several: see stored_weights.h
  CheckpointHints hints = {};  // go before what the file says or does not say
};

struct ModelFile {
  std::string source;   // the path, for messages
  std::string format;   // "Switchyard", "safetensors", "PyTorch" or "diffusers"
  std::string weights;  // which of a training checkpoint's: StoredWeights::name
  ModelConfig config;
  std::map<std::string, Origin> origin;       // where each inferred field comes from; empty for our own files
  std::map<std::string, at::Tensor> tensors;  // CPU, as stored
  nlohmann::json
      training;  // how it was trained, {} if the file does not say; of a .pt, {"args": its arguments}
  nlohmann::json settings;       // how it is best drawn from, an object; null if the file does not say
  nlohmann::json fast_settings;  // the same, for little time
  std::filesystem::path decoder;  // the autoencoder that came with it, in a pipeline's folder; else empty
  nlohmann::json metadata;  // what else a safetensors file says of itself, and what was left out: {"key": "text"}
};

/// Throws io::InputError naming the file and what is wrong with it: not a model, another version of our
/// format, a bad configuration, no such weights, a tensor without which the sizes cannot be told.
ModelFile open_model(const std::filesystem::path& path, const OpenOptions& options = {});

/// The same for the bytes of a safetensors file; `name` stands in for the path in messages, and the bytes
/// must outlive the tensors.
ModelFile open_model(std::span<const std::byte> bytes, const std::string& name,
                     const OpenOptions& options = {});

/// The model, on `device`, computing in `dtype`. Throws io::InputError for missing, surplus and wrongly
/// shaped tensors (at most ten); nothing larger than the file's tensors is allocated.
DiffusionTransformer make_model(const ModelFile& file, at::ScalarType dtype = at::kFloat,
                                at::Device device = at::kCPU);

/// Whether make_model() would find every tensor, checked without allocating it. Throws io::InputError as that
/// does.
void require_fitting_tensors(const ModelFile& file);

/// Writes a model file of ours, whole or not at all, its tensors as `dtype`; settings of null are left out.
/// Throws io::OutputError.
void save_model(const std::filesystem::path& path, DiffusionTransformer& model,
                const std::string& training_json, at::ScalarType dtype = at::kBFloat16,
                const nlohmann::json& settings = nullptr, const nlohmann::json& fast_settings = nullptr);

}  // namespace switchyard::dit

// Autoencoders from files: a diffusers folder, or one file of tensors.
#pragma once

#include <filesystem>
#include <string>

#include "io/state_dict.h"
#include "vae/autoencoder.h"

namespace switchyard::vae {

using Tensors = io::StateDict;

struct AutoencoderFile {
  VaeConfig config;
  Tensors tensors;                     // under our names and of our shapes, still in the (mapped) file
  std::filesystem::path weights = {};  // the file that they came from
  bool inferred = false;               // no config.json: sizes from the tensors, scale and groups as usual
};

/// `path` is a folder with diffusion_pytorch_model.safetensors (or .bin) and config.json, or such a file of
/// any name, with config.json beside it or without (infer_config). Both attention key styles are understood
/// (to_q, to_k, to_v, to_out.0 and query, key, value, proj_attn), as matrices [C, C] or 1x1 convolutions
/// [C, C, 1, 1]; the tensors may be of any float type. Throws io::InputError naming the file and what is
/// wrong: unreadable, a bad configuration, missing, surplus or wrongly shaped tensors (at most ten).
AutoencoderFile open_autoencoder(const std::filesystem::path& path);

/// Its numbers: copies, because a mapped file may go away or be overwritten.
Autoencoder load_autoencoder(const AutoencoderFile& file, const AutoencoderOptions& options = {});

/// The tensors as an autoencoder of this configuration takes them; `source` names them in messages. Allocates
/// nothing. Throws io::InputError, see open_autoencoder.
Tensors fitting_tensors(const VaeConfig& config, const Tensors& tensors, const std::string& source);

}  // namespace switchyard::vae

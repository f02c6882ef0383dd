// A state dict: named tensors, as model files hold them.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>

namespace switchyard::io {

struct TorchValue;

using StateDict = std::map<std::string, at::Tensor>;

/// The tensors of a safetensors file or of a PyTorch file (a dict of tensors, or one that has it under
/// "state_dict"), under the file's own names; views of the mapped file as far as the two readers say. Throws
/// InputError.
StateDict read_state_dict(const std::filesystem::path& path);

/// Those of a PyTorch file that was read already; `source` names it.
StateDict state_dict_of(const TorchValue& root, const std::string& source);

}  // namespace switchyard::io

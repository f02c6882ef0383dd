// Tensors of a PyTorch file may be views of one storage: a few bytes could stand for any amount of memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace switchyard::io {

// Throws InputError naming `source` where copying all tensors would take more than twice the bytes that they
// hold together (and 1 MiB).
void require_own_bytes(const std::map<std::string, at::Tensor>& tensors, const std::string& source);

}  // namespace switchyard::io

// The names in a PyTorch file that we know: what plain data their arguments stand for. None is ever imported or called.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace switchyard::io {

enum class TorchRole : std::uint8_t {
  ordered_dict,
  counter,
  set,
  name_space,         // argparse.Namespace
  rebuild_tensor,     // (storage, offset, size, stride)
  rebuild_tensor_v2,  // (storage, offset, size, stride, requires_grad, hooks, [metadata])
  rebuild_tensor_v3,  // (storage, offset, size, stride, requires_grad, hooks, dtype, [metadata])
  rebuild_parameter,  // (data, requires_grad, hooks, [state])
  rebuild_subclass,   // (one of the above, type, its arguments, state)
  size,
  device,
  storage,
  untyped_storage,
  dtype,
};

struct TorchGlobal {
  std::string_view module, name;
  TorchRole role;
  at::ScalarType dtype = at::ScalarType::Undefined;  // of storages and dtypes
};

// nullptr for any other name. The result lives as long as the program.
const TorchGlobal* find_torch_global(std::string_view module, std::string_view name);

// "float32": the name in the module torch; "unknown" for what files cannot hold.
std::string_view torch_dtype_name(at::ScalarType dtype);

}  // namespace switchyard::io

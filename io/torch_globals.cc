#include "io/torch_globals.h"

#include <algorithm>
#include <array>

namespace switchyard::io {
namespace {

using Role = TorchRole;

constexpr auto kGlobals = std::to_array<TorchGlobal>({
    {"torch._utils", "_rebuild_tensor", Role::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor_v2", Role::rebuild_tensor_v2},
    {"torch._utils", "_rebuild_tensor_v3", Role::rebuild_tensor_v3},
    {"torch._utils", "_rebuild_parameter", Role::rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", Role::rebuild_parameter},
    {"torch._tensor", "_rebuild_from_type_v2", Role::rebuild_subclass},
    {"collections", "OrderedDict", Role::ordered_dict},
    {"collections", "Counter", Role::counter},
    {"argparse", "Namespace", Role::name_space},
    {"__builtin__", "set", Role::set},
    {"__builtin__", "frozenset", Role::set},
    {"builtins", "set", Role::set},
    {"builtins", "frozenset", Role::set},
    {"torch", "Size", Role::size},
    {"torch", "device", Role::device},
    {"torch.storage", "UntypedStorage", Role::untyped_storage, at::kByte},

    {"torch", "float32", Role::dtype, at::kFloat},
    {"torch", "float64", Role::dtype, at::kDouble},
    {"torch", "float16", Role::dtype, at::kHalf},
    {"torch", "bfloat16", Role::dtype, at::kBFloat16},
    {"torch", "float8_e4m3fn", Role::dtype, at::kFloat8_e4m3fn},
    {"torch", "float8_e5m2", Role::dtype, at::kFloat8_e5m2},
    {"torch", "uint8", Role::dtype, at::kByte},
    {"torch", "int8", Role::dtype, at::kChar},
    {"torch", "int16", Role::dtype, at::kShort},
    {"torch", "uint16", Role::dtype, at::kUInt16},
    {"torch", "int32", Role::dtype, at::kInt},
    {"torch", "uint32", Role::dtype, at::kUInt32},
    {"torch", "int64", Role::dtype, at::kLong},
    {"torch", "uint64", Role::dtype, at::kUInt64},
    {"torch", "bool", Role::dtype, at::kBool},
});

// In the module torch, and in torch.cuda in files of old versions.
constexpr auto kStorages = std::to_array<TorchGlobal>({
    {"torch", "FloatStorage", Role::storage, at::kFloat},
    {"torch", "DoubleStorage", Role::storage, at::kDouble},
    {"torch", "HalfStorage", Role::storage, at::kHalf},
    {"torch", "BFloat16Storage", Role::storage, at::kBFloat16},
    {"torch", "ByteStorage", Role::storage, at::kByte},
    {"torch", "CharStorage", Role::storage, at::kChar},
    {"torch", "ShortStorage", Role::storage, at::kShort},
    {"torch", "IntStorage", Role::storage, at::kInt},
    {"torch", "LongStorage", Role::storage, at::kLong},
    {"torch", "BoolStorage", Role::storage, at::kBool},
});

}  // namespace

const TorchGlobal* find_torch_global(std::string_view module, std::string_view name) {
  const auto global = std::find_if(kGlobals.begin(), kGlobals.end(), [&](const TorchGlobal& g) {
    return g.module == module && g.name == name;
  });
  if (global != kGlobals.end()) return &*global;
  if (module != "torch" && module != "torch.cuda") return nullptr;
  const auto storage =
      std::find_if(kStorages.begin(), kStorages.end(), [&](const TorchGlobal& g) { return g.name == name; });
  return storage != kStorages.end() ? &*storage : nullptr;
}

std::string_view torch_dtype_name(at::ScalarType dtype) {
  const auto named = std::find_if(kGlobals.begin(), kGlobals.end(), [&](const TorchGlobal& g) {
    return g.role == Role::dtype && g.dtype == dtype;
  });
  return named != kGlobals.end() ? named->name : "unknown";
}

}  // namespace switchyard::io

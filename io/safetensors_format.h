// What the reader and the writer of safetensors files share; the format is described in safetensors.h.
#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace switchyard::io::safetensors_format {

inline constexpr std::size_t kLengthBytes = 8;
inline constexpr std::uint64_t kMaxHeader = 100'000'000;
inline constexpr std::string_view kMetadata = "__metadata__";

struct Dtype {
  std::string_view name;
  at::ScalarType type;
  unsigned bits;  // of one element; what is narrower than a byte lies packed in bytes of this type
};

// The first of a type is the one that it is written as.
inline constexpr auto kDtypes = std::to_array<Dtype>({
    {"BOOL", at::kBool, 8},
    {"U8", at::kByte, 8},
    {"I8", at::kChar, 8},
    {"I16", at::kShort, 16},
    {"U16", at::kUInt16, 16},
    {"I32", at::kInt, 32},
    {"U32", at::kUInt32, 32},
    {"I64", at::kLong, 64},
    {"U64", at::kUInt64, 64},
    {"F16", at::kHalf, 16},
    {"BF16", at::kBFloat16, 16},
    {"F32", at::kFloat, 32},
    {"F64", at::kDouble, 64},
    {"C64", at::kComplexFloat, 64},
    {"F8_E4M3", at::kFloat8_e4m3fn, 8},
    {"F8_E5M2", at::kFloat8_e5m2, 8},
    {"F8_E8M0", at::kFloat8_e8m0fnu, 8},
    {"F8_E4M3FNUZ", at::kFloat8_e4m3fnuz, 8},
    {"F8_E5M2FNUZ", at::kFloat8_e5m2fnuz, 8},
    {"F4", at::kFloat4_e2m1fn_x2, 4},
    {"F6_E2M3", at::kByte, 6},
    {"F6_E3M2", at::kByte, 6},
});

}  // namespace switchyard::io::safetensors_format

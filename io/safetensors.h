// Tensor files in the safetensors format, read without copying and with every claim of the header checked.
//
// Layout: 8 bytes little-endian header length N; N bytes of JSON {"name": {"dtype", "shape", "data_offsets":
// [begin, end]}, ..., "__metadata__": {"key": "text"}}; then the tensors' bytes, row-major, without holes or
// overlap. Dtypes: BOOL U8 I8 I16 U16 I32 U32 I64 U64 F16 BF16 F32 F64 C64 F8_E4M3 F8_E5M2 F8_E8M0
// F8_E4M3FNUZ F8_E5M2FNUZ; F4 as libtorch's pairs, which halves the last dimension; F6_E2M3 and F6_E3M2,
// which libtorch lacks, as their packed bytes, which makes the last dimension 3/4. Source: the format's
// specification, https://github.com/huggingface/safetensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

namespace switchyard::io {

struct TensorFile {
  std::map<std::string, at::Tensor> tensors;    // CPU, contiguous
  std::map<std::string, std::string> metadata;  // empty where the file has none
};

// The tensors are views of a private mapping that lives as long as any of them: nothing is read before it is
// used, and writing to a tensor does not change the file. A tensor that is not aligned to its dtype in the
// file is copied. Errors: InputError, naming file, tensor, what was expected and what came.
TensorFile read_safetensors(const std::filesystem::path& path);

// The same for bytes in memory: `owner` keeps them alive for the tensors' lifetime, `name` stands in for the
// file's name in messages.
TensorFile parse_safetensors(std::span<std::byte> bytes, std::shared_ptr<const void> owner,
                             const std::string& name);

// Atomic (OutputError where it cannot be written). Any device and strides; wider dtypes come first and then
// names in order, so that every tensor is aligned and the same content gives the same bytes.
// std::invalid_argument: undefined or sparse tensor, a dtype that the format lacks, the name "__metadata__".
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace switchyard::io

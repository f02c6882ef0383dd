// What a file is that is no tensor file, told by its first bytes: what people find under a model's name when a download
// went wrong, or when it is another program's format.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace switchyard::io {

/// A sentence without its subject, "is a web page, not a model: ...", or nothing where none of the known ones fits. Git
/// LFS pointers, web pages, TorchScript, ONNX, GGUF, HDF5, NumPy, JSON, pictures, and what archives and compressors write.
std::string foreign_kind(std::span<const std::byte> bytes);

/// Throws InputError, "NAME: " and the sentence, where there is one.
void refuse_foreign(std::span<const std::byte> bytes, const std::string& name);

}  // namespace switchyard::io

// IDX files, the format of MNIST and its likes: one array of bytes, gzip-compressed or not.
//
// Layout: 0, 0, dtype (8: unsigned byte, the one that is read), number of dimensions; as many sizes of four
// bytes, big-endian; the array, row-major. Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database".
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace switchyard::io {

// uint8, 1 to 8 dimensions, at most 4 GiB, held in memory. InputError names file and fault.
at::Tensor read_idx(const std::filesystem::path& path);

// The same for bytes in memory; `name` stands in for the file's name in messages.
at::Tensor parse_idx(std::span<const std::byte> bytes, const std::string& name);

}  // namespace switchyard::io

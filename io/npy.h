// NumPy's .npy files: one array of numbers behind a short header.
//
// Format versions 1.0 to 3.0, either byte order, row-major or column-major ("Fortran order"). Source: NumPy's NEP 1.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace switchyard::io {

struct NpyHeader {
  at::ScalarType dtype;  // bool, uint8, int8 to int64, float16, float32 or float64
  bool big_endian = false, column_major = false;
  std::vector<std::int64_t> shape;  // at most 64 dimensions
  std::uint64_t bytes = 0;          // of the array, at most 1 TiB
  std::uint64_t offset = 0;         // of the array, from the beginning of the file
};

/// Fills `out` with the next `size` bytes of a file, or throws InputError.
using ReadBytes = std::function<void(void* out, std::size_t size)>;

/// `where` stands for the file in messages. InputError: no .npy file, or an array of something else.
NpyHeader read_npy_header(const ReadBytes& read, const std::string& where);

/// The array behind that header, contiguous. InputError: more than 4 GiB, or a bool other than 0 and 1. The
/// caller has made sure that the file has header.bytes.
at::Tensor read_npy_data(const NpyHeader& header, const ReadBytes& read, const std::string& where);

/// A whole file: where it is row-major, little-endian and aligned, a view of a private mapping, of any size; else a copy.
/// InputError names the file and the fault.
at::Tensor read_npy(const std::filesystem::path& path);

/// The same for bytes in memory, which `owner` keeps alive for the tensor's lifetime.
at::Tensor parse_npy(std::span<std::byte> bytes, std::shared_ptr<const void> owner, const std::string& name);

}  // namespace switchyard::io

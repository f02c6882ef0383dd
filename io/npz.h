// NumPy's .npz archives: named arrays that `numpy.load` opens.
//
// One zip entry "name.npy" per array, format version 1.0, row-major. Source: NumPy's NEP 1.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace switchyard::io {

// Bool, uint8, int8 to int64, float16, float32 and float64 keep their dtype, bfloat16 becomes float32; any
// device and strides. Atomic; the same arrays give the same bytes (entries carry a fixed date).
// std::invalid_argument: undefined tensor, another dtype, an empty name or one with '/', '\' or a NUL.
// OutputError: the file cannot be written.
void write_npz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays);

// An array that is larger than memory: its rows come one by one.
struct RowsOfArray {
  std::string name;
  at::ScalarType dtype;
  std::vector<std::int64_t> shape;  // of all: [rows, ...]
  std::function<at::Tensor(std::int64_t row)> row;  // [...], in order, each once
};

// As numpy.savez writes them: stored, not deflated, with zip64 where it takes that. Atomic, and the same arrays give
// the same bytes. `progress` is told how many rows of an array are written; answering false cancels: then nothing is
// written, and false returned. Throws what `row` throws, std::invalid_argument for a row of another shape or dtype, and
// as write_npz.
bool write_npz_by_rows(const std::filesystem::path& path, const std::vector<RowsOfArray>& arrays,
                       const std::function<bool(const std::string& array, std::int64_t rows)>& progress = {});

// The dtypes above, little-endian, row-major, stored or deflated; at most 4 GiB and 64 dimensions per array.
// InputError names file, array and fault.
std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path);

// The same for bytes in memory; `file` stands in for the file's name in messages.
std::map<std::string, at::Tensor> parse_npz(std::span<const std::byte> bytes, const std::string& file);

}  // namespace switchyard::io

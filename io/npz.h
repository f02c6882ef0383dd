// NumPy's .npz archives: named arrays that `numpy.load` opens.
//
// One zip entry "name.npy" per array (io/npy.h); ours are deflated, of version 1.0 and row-major.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>

namespace switchyard::io {

// Bool, uint8, int8 to int64, float16, float32 and float64 keep their dtype, bfloat16 becomes float32; any
// device and strides. Atomic; the same arrays give the same bytes (entries carry a fixed date).
// std::invalid_argument: undefined tensor, another dtype, an empty name or one with '/', '\' or a NUL.
// OutputError: the file cannot be written.
void write_npz(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& arrays);

// All arrays: what io/npy.h reads, stored or deflated, at most 4 GiB each. InputError names file, array and fault.
std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path);

// The same for bytes in memory; `file` stands in for the file's name in messages.
std::map<std::string, at::Tensor> parse_npz(std::span<const std::byte> bytes, const std::string& file);

// Only those of `names` that the archive holds; others are not looked at. Arrays that are stored, not deflated
// (numpy.savez), are views of a private mapping of the file and may have any size; their checksums are
// compared, which reads them once. An array that is not aligned to its dtype in the file is copied.
std::map<std::string, at::Tensor> read_npz(const std::filesystem::path& path,
                                           const std::set<std::string>& names);

// The same for bytes in memory, which `owner` keeps alive for the tensors' lifetime.
std::map<std::string, at::Tensor> parse_npz(std::span<std::byte> bytes, std::shared_ptr<const void> owner,
                                            const std::string& file, const std::set<std::string>& names);

// The names of its arrays; none of them is read.
std::set<std::string> npz_names(const std::filesystem::path& path);

}  // namespace switchyard::io

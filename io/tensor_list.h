// Every tensor of a file, whoever wrote it and whatever it is for.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace switchyard::io {

/// Of a safetensors or PyTorch file (nothing in it is run), in order of their names: a tensor deep inside is called by its
/// way there, "optimizer.state.0.exp_avg". Views of the mapped file, as far as the two readers say. Throws InputError.
std::vector<std::pair<std::string, at::Tensor>> all_tensors(const std::filesystem::path& path);

struct TensorFacts {
  double mean = 0, deviation = 0;  // of the numbers that are finite; 0 where there is none, NaN of complex ones
  std::int64_t nan = 0, infinite = 0;
};

/// In double precision, a piece at a time.
TensorFacts facts_of(const at::Tensor& tensor);

}  // namespace switchyard::io

// In which numbers a model computes.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "kernels/linear/linear.h"

namespace switchyard::pipeline {

struct Precision {
  at::ScalarType dtype = at::kFloat;
  kernels::Products products = kernels::Products::in_dtype;
  std::string_view name = "float32";     // as the metadata of an image has it
  std::string_view short_name = "fp32";  // as people type it
};

/// By either name ("fp32", "bf16", "int8"); throws std::invalid_argument, with the near misses, for another.
const Precision& precision_from_name(std::string_view name);

/// Throws std::invalid_argument, beginning with `asked` ("--dtype bf16"), where this processor or device cannot.
void require_precision(const Precision& precision, at::Device device, const std::string& asked);

}  // namespace switchyard::pipeline

// Names for number types on the command line and in files.
#pragma once

#include <ATen/core/ScalarType.h>

#include <string>

namespace switchyard::app {

/// "float32", "bfloat16", "float16", "int64", ...
std::string dtype_name(at::ScalarType dtype);

/// fp32, bf16 or fp16. Throws std::invalid_argument naming `option`, with the near misses, for any other.
at::ScalarType stored_dtype(const char* option, const std::string& name);

}  // namespace switchyard::app

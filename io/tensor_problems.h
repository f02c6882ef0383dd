// What is wrong with the tensors of a file, as one message.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace switchyard::io {

std::string shape_text(at::IntArrayRef shape);  // "[2, 3]"

// Throws InputError: `source`: its tensors do not fit `whose` configuration, and the problems, at most ten
// and a count.
[[noreturn]] void refuse_tensors(const std::string& source, const std::string& whose,
                                 const std::vector<std::string>& problems);

}  // namespace switchyard::io

// Whether a failure is want of memory: the standard library, libtorch's CPU and its GPU each say so in their own way.
#pragma once

#include <exception>

namespace switchyard::pipeline {

bool is_out_of_memory(const std::exception& error);

}  // namespace switchyard::pipeline

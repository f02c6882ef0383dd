// Whether a failure is want of memory: the standard library, libtorch's CPU and its GPU each say so in their own way.
#pragma once

#include <exception>
#include <string>

namespace switchyard::pipeline {

bool is_out_of_memory(const std::exception& error);

/// What to say of one that is: "out of memory", and what was too large where that is known.
std::string out_of_memory_text(const std::exception& error);

}  // namespace switchyard::pipeline

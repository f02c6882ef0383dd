// switchyard info --tensors: what any tensor file holds, ours or not.
#pragma once

#include <filesystem>

namespace switchyard::app {

/// To stdout: name, dtype, shape, mean, deviation, and how many numbers are not finite. Throws io::InputError.
void print_tensors(const std::filesystem::path& file, bool json);

}  // namespace switchyard::app

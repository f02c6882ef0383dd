// Where a program computes: --device auto, cpu or cuda.
#pragma once

#include <ATen/core/Tensor.h>

#include <CLI/CLI.hpp>
#include <string>

namespace switchyard::app {

/// Adds --device.
CLI::Option* add_device_option(CLI::App& command, std::string& device);

/// "auto" is the first NVIDIA GPU where libtorch finds one, else the CPU. Throws std::invalid_argument for a
/// name that is none of these (with the near misses), and for "cuda" where there is no GPU.
at::Device device_of(const std::string& name);

}  // namespace switchyard::app

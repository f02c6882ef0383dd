// Weights by the formula of tests/fixtures/metrics/README.md: a function of a tensor's name and an index.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <string>

#include "io/state_dict.h"

namespace switchyard::metrics {

/// u of `name` for the indices 0 .. numel - 1: float64 in [0, 1), flat.
at::Tensor formula_numbers(const std::string& name, int64_t numel);

/// The tensor that the formula gives a parameter of that name in Inception.
at::Tensor formula_tensor(const std::string& name, at::IntArrayRef shape);

/// A file with all of inception_weights_layout.json in `folder`, written once per run of the tests.
std::filesystem::path formula_inception(const std::filesystem::path& fixtures);

}  // namespace switchyard::metrics

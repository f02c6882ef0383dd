// Random choices of rows, of metrics and epochs: functions of a seed, the same on every machine and libtorch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace switchyard::data {

/// The numbers 0 .. n - 1 in random order: [n] int64.
at::Tensor shuffled(int64_t n, uint64_t seed);

/// How often each of n rows comes up among n draws with replacement: [n] fp64.
at::Tensor resampled_counts(int64_t n, uint64_t seed);

/// Independent normal numbers (Box and Muller 1958): [rows, columns] fp64.
at::Tensor normal_numbers(int64_t rows, int64_t columns, uint64_t seed);

}  // namespace switchyard::data

// The cheapest way to pair rows with columns: the Hungarian method (Kuhn 1955, with Munkres' potentials),
// O(n^3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace switchyard::train {

/// cost [n, n], finite -> the column of each row, every column once, of least total cost.
std::vector<int64_t> cheapest_assignment(const at::Tensor& cost);

}  // namespace switchyard::train

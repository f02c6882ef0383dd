// The kernel distance of two sets of features: the unbiased estimate of the squared maximum mean discrepancy with the
// kernel (x . y / D + 1)^3, in float64 (KID: Binkowski et al. 2018, arXiv:1801.01401).
//
//   sum_{i != j} k(x_i, x_j) / (m (m - 1)) + sum_{i != j} k(y_i, y_j) / (n (n - 1)) - 2 mean_ij k(x_i, y_j)
//
// Its expectation is 0 for two sets of the same kind, so single values may be below 0.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "metrics/spread.h"

namespace switchyard::metrics {

/// Of all rows of a: [m, D] and b: [n, D], m, n >= 2. Needs [m, m] + [n, n] + [m, n] float64.
double kernel_distance(const at::Tensor& a, const at::Tensor& b);

using KernelDistance = Spread;  // over the subsets, of all that there are

/// As the field computes it: over subsets of both sets, each pair given by row i of two index tables [subsets, size].
KernelDistance kernel_distance(const at::Tensor& a, const at::Tensor& b, const at::Tensor& subsets_of_a,
                               const at::Tensor& subsets_of_b);

/// Over `subsets` random subsets of `size` rows, drawn without replacement. Nothing when stopped. Throws
/// std::invalid_argument when a set has fewer rows.
std::optional<KernelDistance> kernel_distance(const at::Tensor& a, const at::Tensor& b, int64_t subsets,
                                              int64_t size, uint64_t seed,
                                              const std::function<bool()>& stop = {});

}  // namespace switchyard::metrics

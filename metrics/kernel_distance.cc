#include "metrics/kernel_distance.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/random.h"

namespace switchyard::metrics {
namespace {

at::Tensor kernel(const at::Tensor& x, const at::Tensor& y) {
  return (at::matmul(x, y.t()) / static_cast<double>(x.size(1)) + 1).pow_(3);
}

// The mean of k(x_i, x_j) over i != j.
double mean_within(const at::Tensor& x) {
  const auto k = kernel(x, x);
  const auto n = static_cast<double>(x.size(0));
  return (k.sum() - k.trace()).item<double>() / (n * (n - 1));
}

}  // namespace

double kernel_distance(const at::Tensor& a, const at::Tensor& b) {
  if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(1) || a.size(0) < 2 || b.size(0) < 2)
    throw std::invalid_argument("kernel distance: expected [m, D] and [n, D] with m, n >= 2, got " +
                                c10::str(a.sizes(), " and ", b.sizes()));
  const auto x = a.to(at::kDouble), y = b.to(at::kDouble);
  return mean_within(x) + mean_within(y) - 2 * kernel(x, y).mean().item<double>();
}

KernelDistance kernel_distance(const at::Tensor& a, const at::Tensor& b, const at::Tensor& subsets_of_a,
                               const at::Tensor& subsets_of_b) {
  std::vector<double> values;
  for (int64_t i = 0; i < subsets_of_a.size(0); ++i)
    values.push_back(kernel_distance(a.index_select(0, subsets_of_a[i]), b.index_select(0, subsets_of_b[i])));
  return spread_of(values);
}

std::optional<KernelDistance> kernel_distance(const at::Tensor& a, const at::Tensor& b, int64_t subsets,
                                              int64_t size, uint64_t seed,
                                              const std::function<bool()>& stop) {
  if (subsets < 1 || size < 2 || size > std::min(a.size(0), b.size(0)))
    throw std::invalid_argument("kernel distance: expected subsets of 2 to " +
                                std::to_string(std::min(a.size(0), b.size(0))) + " rows, got " +
                                std::to_string(subsets) + " of " + std::to_string(size));
  std::vector<double> values;
  for (int64_t i = 0; i < subsets; ++i) {
    if (stop && stop()) return std::nullopt;
    const auto rows = [&](const at::Tensor& set, uint64_t which) {
      return set.index_select(
          0, data::shuffled(set.size(0), seed + 2 * static_cast<uint64_t>(i) + which).narrow(0, 0, size));
    };
    values.push_back(kernel_distance(rows(a, 0), rows(b, 1)));
  }
  return spread_of(values);
}

}  // namespace switchyard::metrics

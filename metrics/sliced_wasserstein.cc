#include "metrics/sliced_wasserstein.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <stdexcept>

#include "data/random.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kDirections = 512;

// Mass 1 in m equal parts onto mass 1 in n equal parts, both sorted: W2^2.
double transport(const float* x, int64_t m, const float* y, int64_t n) {
  double sum = 0, moved = 0;
  for (int64_t i = 0, j = 0; i < m && j < n;) {
    const int64_t x_ends = (i + 1) * n, y_ends = (j + 1) * m;  // in parts of 1 / (m n)
    const auto end = static_cast<double>(std::min(x_ends, y_ends));
    const double step = static_cast<double>(x[i]) - static_cast<double>(y[j]);
    sum += (end - moved) * step * step;
    moved = end;
    i += x_ends <= y_ends;
    j += y_ends <= x_ends;
  }
  return sum / (static_cast<double>(m) * static_cast<double>(n));
}

}  // namespace

double sliced_wasserstein(const at::Tensor& a, const at::Tensor& b, uint64_t seed) {
  if (a.dim() != 2 || b.dim() != 2 || a.size(1) != b.size(1) || a.size(0) < 1 || b.size(0) < 1)
    throw std::invalid_argument("sliced Wasserstein distance: expected [m, D] and [n, D], got " +
                                c10::str(a.sizes(), " and ", b.sizes()));
  const int64_t dimension = a.size(1), directions = std::min(dimension, kDirections);
  const auto basis =
      std::get<0>(at::linalg_qr(data::normal_numbers(dimension, directions, seed)));  // [D, directions]
  // [directions, rows], each direction sorted; about a common centre, where fp32 is finest.
  const auto centre = b.mean(0, true, at::kFloat);
  const auto seen = [&](const at::Tensor& rows) {
    return std::get<0>(at::matmul(basis.t().to(at::kFloat), (rows.to(at::kFloat) - centre).t()).sort(1));
  };
  const auto x = seen(a), y = seen(b);
  auto distances = at::empty({directions}, at::kDouble);
  auto* const out = distances.mutable_data_ptr<double>();
  at::parallel_for(0, directions, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      out[i] = transport(x.const_data_ptr<float>() + i * x.size(1), x.size(1),
                         y.const_data_ptr<float>() + i * y.size(1), y.size(1));
  });
  return distances.mean().item<double>() * static_cast<double>(dimension);
}

}  // namespace switchyard::metrics

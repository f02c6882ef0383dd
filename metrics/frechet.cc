#include "metrics/frechet.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>
#include <string>

#include "data/random.h"
#include "metrics/spread.h"

namespace switchyard::metrics {
namespace {

double sum_of_roots(const at::Tensor& symmetric) {
  return at::linalg_eigvalsh(symmetric).clamp_min(0).sqrt().sum().item<double>();
}

double sum_of_squares(const at::Tensor& values) { return values.square().sum().item<double>(); }

}  // namespace

FrechetReference::FrechetReference(const Moments& moments)
    : mean_(moments.mean), trace_(moments.covariance.trace().item<double>()) {
  const auto [values, vectors] = at::linalg_eigh(moments.covariance);
  root_ = at::matmul(vectors * values.clamp_min(0).sqrt(), vectors.t());
}

// product: a matrix with the eigenvalues of S1^(1/2) S2 S1^(1/2), but for zeros.
double FrechetReference::assemble(const at::Tensor& mean, double trace, const at::Tensor& product) const {
  return sum_of_squares(mean_ - mean) + trace_ + trace - 2 * sum_of_roots(product);
}

double FrechetReference::distance(const Moments& moments) const {
  if (!moments.mean.sizes().equals(mean_.sizes()))
    throw std::invalid_argument("Frechet distance: expected two sets of as many features, got " +
                                std::to_string(mean_.size(0)) + " and " +
                                std::to_string(moments.mean.size(0)));
  const auto product = at::matmul(at::matmul(root_, moments.covariance), root_);
  return assemble(moments.mean, moments.covariance.trace().item<double>(), (product + product.t()) / 2);
}

double FrechetReference::distance(const at::Tensor& rows, const at::Tensor& weights) const {
  if (rows.size(0) >= mean_.size(0) || rows.size(1) != mean_.size(0))
    return distance(moments_of(rows, weights));
  const auto x = rows.to(at::kDouble);
  const auto weight = weights.defined() ? weights : at::ones({x.size(0)}, at::kDouble);
  const double n = weight.sum().item<double>();
  const auto mean = weight.matmul(x) / n;
  const auto scaled =
      (x - mean) * (weight / std::max(n - 1, 1.0)).sqrt().unsqueeze(1);  // S2 = scaled^T scaled
  const auto turned = at::matmul(scaled, root_);                         // [n, D]
  return assemble(mean, sum_of_squares(scaled), at::matmul(turned, turned.t()));
}

double frechet_distance(const Moments& a, const Moments& b) { return FrechetReference(a).distance(b); }

std::optional<double> frechet_bootstrap(const FrechetReference& reference, const at::Tensor& rows,
                                        int64_t resamples, uint64_t seed, const Stop& stop) {
  std::vector<double> values;
  for (int64_t i = 0; i < resamples; ++i) {
    if (stop && stop()) return std::nullopt;
    const auto counts = data::resampled_counts(rows.size(0), seed + static_cast<uint64_t>(i));  // [n]
    const auto drawn = counts.nonzero().squeeze(1);
    values.push_back(reference.distance(rows.index_select(0, drawn), counts.index_select(0, drawn)));
  }
  return spread_of(values, 1).deviation;
}

std::optional<Extrapolation> frechet_at_infinity(const FrechetReference& reference, const at::Tensor& rows,
                                                 int64_t sizes, uint64_t seed, const Stop& stop) {
  if (sizes < 3 || rows.size(0) < 4 * sizes)
    throw std::invalid_argument(
        "Frechet distance at infinity: expected at least 3 sizes and 4 rows for each, got " +
        std::to_string(sizes) + " and " + std::to_string(rows.size(0)));
  const auto count = static_cast<double>(rows.size(0));
  const auto points = static_cast<double>(sizes);
  std::vector<double> x, y;
  double mean_x = 0, mean_y = 0;
  for (int64_t i = 0; i < sizes; ++i) {
    if (stop && stop()) return std::nullopt;
    const auto n = std::llround(count / (1 + 3 * static_cast<double>(i) / (points - 1)));
    const auto chosen = data::shuffled(rows.size(0), seed + static_cast<uint64_t>(i)).narrow(0, 0, n);
    x.push_back(1 / static_cast<double>(n));
    y.push_back(reference.distance(rows.index_select(0, chosen)));
    mean_x += x.back() / points;
    mean_y += y.back() / points;
  }
  double xx = 0, xy = 0, rest = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  const double slope = xy / xx;
  for (size_t i = 0; i < x.size(); ++i) rest += std::pow(y[i] - mean_y - slope * (x[i] - mean_x), 2);
  return Extrapolation{mean_y - slope * mean_x, slope,
                       std::sqrt(rest / (points - 2) * (1 / points + mean_x * mean_x / xx))};
}

}  // namespace switchyard::metrics

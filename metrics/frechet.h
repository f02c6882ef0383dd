// The Frechet distance of two sets of features, seen as normal distributions: what FID is, of Inception's features.
//
//   |m1 - m2|^2 + Tr S1 + Tr S2 - 2 Tr (S1^(1/2) S2 S1^(1/2))^(1/2)
//
// (Dowson and Landau 1982; Heusel et al. 2017, arXiv:1706.08500). The last trace is the sum of the square roots of the
// eigenvalues of a symmetric matrix, in float64, with those that rounding makes negative taken as 0: fewer rows than
// dimensions give no NaN, and nothing is added to a diagonal.
//
// The distance of finite sets is too large, by about c/n (Chong and Forsyth 2020, arXiv:1911.07023).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "metrics/statistics.h"

namespace switchyard::metrics {

/// Below so many images people do not trust a Frechet distance.
inline constexpr int64_t kFewForFrechet = 2048;

/// One of the two sets, against which any number of others are measured: its matrix root is taken once.
class FrechetReference {
 public:
  explicit FrechetReference(const Moments& moments);

  /// Throws std::invalid_argument for another dimension.
  double distance(const Moments& moments) const;

  /// Of the rows of a matrix [n, D], each counted `weights` times (as in MomentsAccumulator). The same number, but with
  /// fewer rows than dimensions by the n x n matrix of their products, which is faster.
  double distance(const at::Tensor& rows, const at::Tensor& weights = {}) const;

 private:
  double assemble(const at::Tensor& mean, double trace, const at::Tensor& product) const;

  at::Tensor mean_, root_;  // [D]; [D, D]: the root of the covariance
  double trace_ = 0;
};

double frechet_distance(const Moments& a, const Moments& b);

/// Asked between pieces of long work; true ends it.
using Stop = std::function<bool()>;

/// The standard error of distance(rows): the standard deviation over `resamples` sets of as many rows, drawn with
/// replacement (Efron 1979). The reference stays what it is. Not the quantiles: a resampled set has fewer different rows
/// and is therefore too far away. Nothing when stopped.
std::optional<double> frechet_bootstrap(const FrechetReference& reference, const at::Tensor& rows,
                                        int64_t resamples, uint64_t seed, const Stop& stop = {});

/// The distance that infinitely many rows would have: the straight line in 1/n through the distances of `sizes` random
/// subsets from n/4 to n rows, evenly spaced in 1/n, at 1/n = 0 (Chong and Forsyth's FID_infinity). The reference stays
/// finite.
struct Extrapolation {
  double distance = 0;
  double slope = 0;  // distance(n) = distance + slope / n
  double standard_error =
      0;  // of `distance`, from the scatter about the line; the subsets overlap: a lower bound
};
std::optional<Extrapolation> frechet_at_infinity(const FrechetReference& reference, const at::Tensor& rows,
                                                 int64_t sizes, uint64_t seed, const Stop& stop = {});

}  // namespace switchyard::metrics

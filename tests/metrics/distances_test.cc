#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>
#include <vector>

#include "data/random.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbours.h"
#include "metrics/sliced_wasserstein.h"

namespace switchyard::metrics {
namespace {

at::Tensor rows_of(int64_t n, int64_t d, uint64_t seed) {
  return data::normal_numbers(n, d, seed).to(at::kFloat);
}

// Mean squared distance to its mean, for the tests of spread.
double deviation(const std::vector<double>& values) {
  double mean = 0, scatter = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  for (const double value : values) scatter += (value - mean) * (value - mean);
  return std::sqrt(scatter / static_cast<double>(values.size() - 1));
}

TEST(Frechet, ClosedFormOfDiagonalCovariances) {
  const auto a = at::tensor({4.0, 1.0, 0.0}, at::kDouble), b = at::tensor({1.0, 9.0, 0.25}, at::kDouble);
  const auto shift = at::tensor({1.0, -2.0, 2.0}, at::kDouble);
  const Moments x{at::zeros({3}, at::kDouble), at::diag(a)}, y{shift, at::diag(b)};
  EXPECT_NEAR(frechet_distance(x, y), 9 + 1 + 4 + 0.25, 1e-12);
}

TEST(Frechet, RowsAndMomentsAgreeWhateverTheRank) {
  for (const int64_t n : {1, 2, 31, 32, 33, 200}) {
    const auto rows = rows_of(n, 32, 7), other = rows_of(50, 32, 8) * 2 + 1;
    const FrechetReference reference(moments_of(other));
    EXPECT_NEAR(reference.distance(rows), reference.distance(moments_of(rows)), 1e-5) << n;
    const auto weights = at::arange(1, n + 1, at::kDouble);
    EXPECT_NEAR(reference.distance(rows, weights), reference.distance(moments_of(rows, weights)), 1e-5) << n;
  }
}

TEST(Frechet, RefusesOtherDimensions) {
  const FrechetReference reference(moments_of(rows_of(9, 4, 1)));
  EXPECT_THROW(reference.distance(moments_of(rows_of(9, 5, 1))), std::invalid_argument);
  EXPECT_THROW(reference.distance(rows_of(2, 5, 1)), std::invalid_argument);
}

// The interval must hold what fresh sets of the same size do.
TEST(Frechet, BootstrapFindsTheSpreadOfFreshSets) {
  const FrechetReference reference(moments_of(rows_of(4000, 4, 1)));
  std::vector<double> fresh, errors;
  for (uint64_t i = 0; i < 40; ++i) {
    const auto rows = rows_of(300, 4, 100 + i) * 1.5 + 0.2;
    fresh.push_back(reference.distance(rows));
    errors.push_back(frechet_bootstrap(reference, rows, 40, i).value());
  }
  double mean = 0;
  for (const double error : errors) mean += error / 40;
  EXPECT_NEAR(mean / deviation(fresh), 1, 0.35);
}

// Of two equal distributions nothing remains; of one moved by 1 in each of 8 dimensions 8.
TEST(Frechet, ExtrapolationRemovesTheBias) {
  const FrechetReference reference(moments_of(rows_of(100'000, 8, 1)));
  for (const double shift : {0.0, 1.0}) {
    const auto rows = rows_of(4000, 8, 2) + shift;
    const auto found = frechet_at_infinity(reference, rows, 8, 3).value();
    const auto few = rows.narrow(0, 0, 100);
    EXPECT_GT(reference.distance(few), 8 * shift * shift + 0.05);
    EXPECT_NEAR(found.distance, 8 * shift * shift, shift > 0 ? 0.4 : 0.01);
  }
  EXPECT_THROW(frechet_at_infinity(reference, rows_of(11, 8, 2), 3, 3), std::invalid_argument);
}

TEST(Frechet, LongWorkStops) {
  const FrechetReference reference(moments_of(rows_of(9, 4, 1)));
  const auto stop = [] { return true; };
  EXPECT_FALSE(frechet_bootstrap(reference, rows_of(9, 4, 1), 5, 0, stop));
  EXPECT_FALSE(frechet_at_infinity(reference, rows_of(99, 4, 1), 5, 0, stop));
  EXPECT_FALSE(kernel_distance(rows_of(9, 4, 1), rows_of(9, 4, 2), 5, 3, 0, stop));
  EXPECT_FALSE(neighbours(rows_of(9, 4, 1), rows_of(9, 4, 2), 3, stop));
}

TEST(Kernel, RandomSubsetsFindTheWholeDistance) {
  const auto a = rows_of(300, 8, 1), b = rows_of(200, 8, 2) + 0.5;
  const double whole = kernel_distance(a, b);
  const auto subsets = kernel_distance(a, b, 100, 100, 3).value();
  EXPECT_NEAR(subsets.mean, whole, 4 * subsets.deviation / 10);
  EXPECT_GT(subsets.deviation, 0);
  EXPECT_THROW(kernel_distance(a, b, 10, 201, 3), std::invalid_argument);
  EXPECT_THROW(kernel_distance(a, b.narrow(0, 0, 1)), std::invalid_argument);
  EXPECT_THROW(kernel_distance(a, rows_of(9, 7, 1)), std::invalid_argument);
}

TEST(InceptionScore, EndsOfTheScale) {
  EXPECT_NEAR(inception_score(at::zeros({30, 7}), 10).mean, 1, 1e-12);  // nothing told apart
  EXPECT_NEAR(inception_score(at::eye(7).repeat({3, 1}) * 1000, 3).mean, 7,
              1e-9);  // each class, with certainty
  EXPECT_THROW(inception_score(at::zeros({9, 7}), 10), std::invalid_argument);
}

// The plain form, where the blocks' borders play no part.
TEST(Neighbours, BlocksMatchThePlainForm) {
  for (const auto& [m, n, k] : {std::tuple{4, 5, 3}, {1023, 4097, 5}, {4100, 1025, 2}}) {
    SCOPED_TRACE(c10::str(m, " x ", n));
    const auto real = rows_of(m, 3, 1), generated = rows_of(n, 3, 2) * 1.2 + 0.3;
    const auto radius = [&, k = k](const at::Tensor& rows) {
      const auto x = rows.to(at::kDouble);
      return std::get<0>(at::cdist(x, x, 2, 2).kthvalue(k + 1, 1));  // itself is the nearest
    };
    const auto d = at::cdist(real.to(at::kDouble), generated.to(at::kDouble), 2, 2);
    const auto r = radius(real).unsqueeze(1), g = radius(generated);
    const auto mean = [](const at::Tensor& hits) { return hits.to(at::kDouble).mean().item<double>(); };
    const auto found = neighbours(real, generated, k).value();
    EXPECT_DOUBLE_EQ(found.precision, mean((d <= r).any(0)));
    EXPECT_DOUBLE_EQ(found.recall, mean((d <= g).any(1)));
    EXPECT_NEAR(found.density, (d < r).sum().item<double>() / (k * n), 1e-12);
    EXPECT_DOUBLE_EQ(found.coverage, mean((d < r).any(1)));
  }
}

TEST(Neighbours, RefusesTooFewRows) {
  EXPECT_THROW(neighbours(rows_of(3, 2, 1), rows_of(9, 2, 1), 3), std::invalid_argument);
  EXPECT_THROW(neighbours(rows_of(9, 2, 1), rows_of(9, 3, 1), 3), std::invalid_argument);
}

TEST(SlicedWasserstein, MovedSetsAreAsFarApartAsTheyWereMoved) {
  const auto rows = rows_of(37, 11, 1), step = rows_of(1, 11, 2);
  EXPECT_NEAR(sliced_wasserstein(rows, rows + step, 3), step.square().sum().item<double>(), 1e-4);
  EXPECT_NEAR(sliced_wasserstein(rows, rows.index_select(0, data::shuffled(37, 4)), 3), 0, 1e-9);
}

TEST(SlicedWasserstein, UnequalCountsSplitTheMass) {
  const auto rows = rows_of(6, 5, 1), others = rows_of(9, 5, 2);
  const double expected =
      sliced_wasserstein(rows.repeat_interleave(3, 0), others.repeat_interleave(2, 0), 3);  // 18 each
  EXPECT_NEAR(sliced_wasserstein(rows, others, 3), expected, 1e-5 * expected);
  EXPECT_THROW(sliced_wasserstein(rows, rows_of(9, 4, 1), 3), std::invalid_argument);
  EXPECT_THROW(sliced_wasserstein(rows, rows.narrow(0, 0, 0), 3), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::metrics

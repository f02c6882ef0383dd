#include "metrics/statistics.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "data/random.h"

namespace switchyard::metrics {
namespace {

at::Tensor rows_of(int64_t n, int64_t d, uint64_t seed = 1) {
  return (data::normal_numbers(n, d, seed) + 100).to(at::kFloat);  // far from 0, where naive sums cancel
}

TEST(Moments, MatchTheDefinition) {
  for (const auto& [n, d] : {std::pair{2, 1}, {33, 31}, {1023, 3}, {1024, 5}, {1025, 7}, {3001, 2}}) {
    SCOPED_TRACE(c10::str(n, " x ", d));
    const auto rows = rows_of(n, d).to(at::kDouble);
    const auto moments = moments_of(rows);
    const auto centred = rows - rows.mean(0);
    EXPECT_TRUE(at::allclose(moments.mean, rows.mean(0), 1e-13, 0));
    EXPECT_TRUE(at::allclose(moments.covariance, at::matmul(centred.t(), centred) / (n - 1), 1e-11, 1e-12));
    EXPECT_EQ(moments.count, n);
  }
}

TEST(Moments, DoNotDependOnHowRowsCome) {
  const auto rows = rows_of(2500, 6);
  const auto whole = moments_of(rows);
  for (const int64_t batch : {1, 7, 64, 1024, 1500}) {
    MomentsAccumulator accumulator(6);
    for (int64_t i = 0; i < rows.size(0); i += batch)
      accumulator.add(rows.narrow(0, i, std::min(batch, rows.size(0) - i)));
    const auto moments = accumulator.moments();
    EXPECT_TRUE(at::equal(moments.mean, whole.mean)) << batch;
    EXPECT_TRUE(at::equal(moments.covariance, whole.covariance)) << batch;
  }
}

TEST(Moments, WeightsAreRepetitions) {
  const auto rows = rows_of(5, 3);
  const auto weights = at::tensor({1.0, 0.0, 3.0, 2.0, 1.0}, at::kDouble);
  const auto repeated = rows.repeat_interleave(weights.to(at::kLong), 0);
  const auto a = moments_of(rows, weights), b = moments_of(repeated);
  EXPECT_EQ(a.count, 7);
  EXPECT_TRUE(at::allclose(a.mean, b.mean, 1e-14, 0));
  EXPECT_TRUE(at::allclose(a.covariance, b.covariance, 1e-12, 1e-13));
}

TEST(Moments, OneRowHasNoSpread) {
  const auto moments = moments_of(rows_of(1, 3));
  EXPECT_EQ(moments.covariance.abs().max().item<double>(), 0);
}

TEST(Moments, RefuseOtherShapes) {
  MomentsAccumulator accumulator(3);
  EXPECT_THROW(accumulator.moments(), std::invalid_argument);
  EXPECT_THROW(accumulator.add(at::zeros({2, 4})), std::invalid_argument);
  EXPECT_THROW(accumulator.add(at::zeros({3})), std::invalid_argument);
  EXPECT_THROW(accumulator.add(at::zeros({2, 3}, at::kInt)), std::invalid_argument);
  EXPECT_THROW(accumulator.add(at::zeros({2, 3}), at::ones({3}, at::kDouble)), std::invalid_argument);
  EXPECT_THROW(MomentsAccumulator(0), std::invalid_argument);
}

TEST(Random, ShufflesAndResamplesEveryRowFairly) {
  const auto order = data::shuffled(1000, 3);
  EXPECT_TRUE(at::equal(std::get<0>(order.sort()), at::arange(1000)));
  EXPECT_FALSE(at::equal(order, data::shuffled(1000, 4)));
  EXPECT_TRUE(at::equal(order, data::shuffled(1000, 3)));
  const auto counts = data::resampled_counts(10000, 3);
  EXPECT_EQ(counts.sum().item<double>(), 10000);
  EXPECT_NEAR(counts.gt(0).to(at::kDouble).mean().item<double>(), 1 - std::exp(-1.0), 0.01);
  const auto normal = data::normal_numbers(100, 100, 5);
  EXPECT_NEAR(normal.mean().item<double>(), 0, 0.03);
  EXPECT_NEAR(normal.std().item<double>(), 1, 0.03);
}

}  // namespace
}  // namespace switchyard::metrics

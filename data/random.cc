#include "data/random.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <utility>

#include "io/split_mix.h"

namespace switchyard::data {
namespace {

// SplitMix64.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0xD1342543DE82EF95u) {}

  uint64_t next() { return io::split_mix(state_ += io::kSplitMixStep); }

  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }  // 0 <= u < 1

  int64_t below(int64_t n) { return static_cast<int64_t>(uniform() * static_cast<double>(n)); }

 private:
  uint64_t state_;
};

}  // namespace

at::Tensor shuffled(int64_t n, uint64_t seed) {
  Random random(seed);
  auto order = at::arange(n, at::kLong);
  auto* const data = order.mutable_data_ptr<int64_t>();
  for (int64_t i = n - 1; i > 0; --i) std::swap(data[i], data[random.below(i + 1)]);  // Fisher and Yates
  return order;
}

at::Tensor resampled_counts(int64_t n, uint64_t seed) {
  Random random(seed);
  auto counts = at::zeros({n}, at::kDouble);
  auto* const data = counts.mutable_data_ptr<double>();
  for (int64_t i = 0; i < n; ++i) ++data[random.below(n)];
  return counts;
}

at::Tensor normal_numbers(int64_t rows, int64_t columns, uint64_t seed) {
  Random random(seed);
  auto numbers = at::empty({rows, columns}, at::kDouble);
  auto* const data = numbers.mutable_data_ptr<double>();
  for (int64_t i = 0; i < numbers.numel(); ++i) {
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform()));
    data[i] = radius * std::cos(2 * std::numbers::pi * random.uniform());
  }
  return numbers;
}

}  // namespace switchyard::data

#include "metrics/statistics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace switchyard::metrics {
namespace {

constexpr int64_t kBlock = 1024;  // so many rows that the product costs more than the pass over D x D numbers

}  // namespace

MomentsAccumulator::MomentsAccumulator(int64_t dimension) {
  if (dimension < 1)
    throw std::invalid_argument("moments: expected at least one dimension, got " + std::to_string(dimension));
  block_ = at::empty({kBlock, dimension}, at::kDouble);
  weights_ = at::empty({kBlock}, at::kDouble);
  mean_ = at::zeros({dimension}, at::kDouble);
  scatter_ = at::zeros({dimension, dimension}, at::kDouble);
}

void MomentsAccumulator::add(const at::Tensor& rows, const at::Tensor& weights) {
  if (rows.dim() != 2 || rows.size(1) != mean_.size(0) || !rows.is_floating_point())
    throw std::invalid_argument("moments: expected [N, " + std::to_string(mean_.size(0)) +
                                "] floating numbers, got " + c10::str(rows.sizes(), " ", rows.scalar_type()));
  if (weights.defined() && (weights.dim() != 1 || weights.size(0) != rows.size(0)))
    throw std::invalid_argument("moments: expected a weight for each of " + std::to_string(rows.size(0)) +
                                " rows, got " + c10::str(weights.sizes()));
  for (int64_t taken = 0; taken < rows.size(0);) {
    const int64_t n = std::min(kBlock - waiting_, rows.size(0) - taken);
    block_.narrow(0, waiting_, n).copy_(rows.narrow(0, taken, n));
    auto weight = weights_.narrow(0, waiting_, n);
    weights.defined() ? weight.copy_(weights.narrow(0, taken, n)) : weight.fill_(1);
    waiting_ += n;
    taken += n;
    if (waiting_ == kBlock) flush();
  }
}

void MomentsAccumulator::flush() {
  if (waiting_ == 0) return;
  const auto rows = block_.narrow(0, 0, waiting_);
  const auto weights = weights_.narrow(0, 0, waiting_);
  waiting_ = 0;
  const double n = weights.sum().item<double>();
  if (n == 0) return;
  const auto mean = weights.matmul(rows) / n;                        // [D]
  const auto centred = (rows - mean) * weights.sqrt().unsqueeze(1);  // [n, D]
  const auto step = mean - mean_;
  scatter_.addmm_(centred.t(), centred);
  scatter_.addr_(step, step, 1, count_ * n / (count_ + n));
  mean_ += step * (n / (count_ + n));
  count_ += n;
}

Moments MomentsAccumulator::moments() {
  flush();
  if (count_ == 0) throw std::invalid_argument("moments: expected at least one row, got none");
  return {mean_.clone(), scatter_ / std::max(count_ - 1, 1.0), static_cast<int64_t>(count_)};
}

Moments moments_of(const at::Tensor& rows, const at::Tensor& weights) {
  MomentsAccumulator accumulator(rows.size(-1));
  accumulator.add(rows, weights);
  return accumulator.moments();
}

}  // namespace switchyard::metrics

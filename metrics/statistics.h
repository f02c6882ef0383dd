// Mean and covariance of features, in one pass and in float64.
//
// The pairwise update of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm for computing sample
// variances", 1979), over blocks of a fixed number of rows: the numbers do not depend on how rows were handed over.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace switchyard::metrics {

struct Moments {
  at::Tensor mean;        // [D] fp64
  at::Tensor covariance;  // [D, D] fp64, divisor count - 1; 0 for one row
  int64_t count = 0;      // rows; 0 where a file does not say
};

class MomentsAccumulator {
 public:
  explicit MomentsAccumulator(int64_t dimension);

  /// rows: [n, D], any floating dtype, CPU. weights: [n] fp64 of whole numbers, how many times each row counts;
  /// undefined: once. Throws std::invalid_argument for another shape.
  void add(const at::Tensor& rows, const at::Tensor& weights = {});

  /// Of all rows so far. Throws std::invalid_argument when there are none.
  Moments moments();

 private:
  void flush();

  at::Tensor block_, weights_;  // [kBlock, D], [kBlock] fp64: rows that wait
  int64_t waiting_ = 0;
  double count_ = 0;
  at::Tensor mean_, scatter_;  // [D]; [D, D]: the sum of (x - mean)(x - mean)^T
};

/// Of the rows of a matrix.
Moments moments_of(const at::Tensor& rows, const at::Tensor& weights = {});

}  // namespace switchyard::metrics

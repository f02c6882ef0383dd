// The inception score (Salimans et al. 2016, arXiv:1606.03498): exp of the mean divergence of an image's class
// probabilities from those of its part of the set.
//
//   exp(mean_i sum_j p_ij (log p_ij - log mean_i p_ij))
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "metrics/spread.h"

namespace switchyard::metrics {

using InceptionScore = Spread;  // over the parts, of all that there are

/// logits: [N, classes], of which the probabilities are the softmax over all classes, in float64. Part b is the rows from
/// b N / splits to (b + 1) N / splits, in the order given: shuffle images that come class by class. Throws
/// std::invalid_argument for fewer rows than parts.
InceptionScore inception_score(const at::Tensor& logits, int64_t splits = 10);

}  // namespace switchyard::metrics

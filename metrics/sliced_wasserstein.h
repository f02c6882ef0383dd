// The sliced Wasserstein distance of two sets of features: both are seen along single directions, where the best
// transport between them is found by sorting (Rabin et al. 2011). It needs no covariance, so it has a meaning for a few
// hundred images, where the Frechet distance has none.
//
// Squared, and times the number of dimensions: D mean_u W2(u.x, u.y)^2. So it has the Frechet distance's scale; two sets of
// which one is the other moved by v are |v|^2 apart by both.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace switchyard::metrics {

/// a: [m, D], b: [n, D], not empty, else std::invalid_argument. The directions are min(D, 512) orthogonal ones, random by
/// `seed`; m and n may differ (the transport then splits the mass of rows).
double sliced_wasserstein(const at::Tensor& a, const at::Tensor& b, uint64_t seed);

}  // namespace switchyard::metrics

// What nearest neighbours say of two sets: does each generated image look like a real one, and each real one like a
// generated one?
//
// A ball around each image reaches to its k-th neighbour of its own set, itself left out.
//   precision  share of generated images within (<=) the ball of some real one     Kynkaanniemi et al. 2019,
//   recall     share of real images within (<=) the ball of some generated one     arXiv:1904.06991
//   density    pairs (generated in the ball of a real one, <) / (k * generated)    Naeem et al. 2020,
//   coverage   share of real images with a generated one within (<) their ball     arXiv:2002.09797
//
// Euclidean distances in float64, as |x|^2 + |y|^2 - 2 x.y, in blocks: beside the features, some 150 MB whatever their
// number.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>

namespace switchyard::metrics {

struct Neighbours {
  double precision = 0, recall = 0, density = 0, coverage = 0;
};

/// real: [m, D], generated: [n, D], floating; more than k rows each, else std::invalid_argument. Nothing when stopped.
std::optional<Neighbours> neighbours(const at::Tensor& real, const at::Tensor& generated, int64_t k,
                                     const std::function<bool()>& stop = {});

/// The squared distance of each row to its k-th neighbour among the others: [n] fp64. Undefined when stopped.
at::Tensor squared_radii(const at::Tensor& rows, int64_t k, const std::function<bool()>& stop = {});

}  // namespace switchyard::metrics

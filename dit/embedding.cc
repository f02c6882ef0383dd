#include "dit/embedding.h"

#include <ATen/ATen.h>

#include <cmath>

#include "kernels/timestep_embedding/timestep_embedding.h"

namespace switchyard::dit {
namespace {

// positions [M] fp64 -> [M, width] fp64: [sin(p w_i), cos(p w_i)], w_i = 10000^(-i / (width / 2))
at::Tensor sine_cosine(const at::Tensor& positions, int64_t width) {
  const auto exponent = at::arange(width / 2, at::kDouble) / (static_cast<double>(width) / 2.0);
  const auto angle = at::outer(positions, at::pow(10000.0, -exponent));
  return at::cat({at::sin(angle), at::cos(angle)}, 1);
}

}  // namespace

at::Tensor timestep_embedding(const at::Tensor& t, int64_t shift) {
  return kernels::timestep_embedding(t, kTimestepFrequencies / 2, shift);
}

at::Tensor position_embedding(int64_t width, int64_t side) {
  const auto axis = at::arange(side, at::kDouble);
  const auto columns = axis.repeat({side});
  const auto rows = axis.repeat_interleave(side);
  return at::cat({sine_cosine(columns, width / 2), sine_cosine(rows, width / 2)}, 1)
      .to(at::kFloat)
      .unsqueeze(0);
}

at::Tensor patchify(const at::Tensor& images, int64_t p) {
  const int64_t n = images.size(0), c = images.size(1), rows = images.size(2) / p,
                columns = images.size(3) / p;
  return images.reshape({n, c, rows, p, columns, p})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({n, rows * columns, c * p * p});
}

at::Tensor unpatchify(const at::Tensor& tokens, int64_t p, int64_t channels) {
  const int64_t n = tokens.size(0), side = std::llround(std::sqrt(static_cast<double>(tokens.size(1))));
  return tokens.reshape({n, side, side, p, p, channels})
      .permute({0, 5, 1, 3, 2, 4})
      .reshape({n, channels, side * p, side * p});
}

}  // namespace switchyard::dit

// adaLN (kernels/modulate/modulate.h), rows = images x tokens; statistics and arithmetic in fp32, rounded once at the
// end.
//
//   modulated_layer_norm:  y[r] = (x[r] - mean) / sqrt(var + eps) * (1 + scale[n]) + shift[n],   n = r /
//   rows_per_image gated_residual:        y[r] = x[r] + gate[n] * branch[r]
//
//   x, branch, y         [rows, width], dtype
//   shift, scale, gate   [images, width], dtype
#pragma once

#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

inline constexpr int kMaxLayerNormWidth = 12288;  // a row in 48 KiB of shared memory

struct ModulatedLayerNorm {
  DType dtype;
  std::int64_t rows, rows_per_image;
  int width;  // 1 .. kMaxLayerNormWidth
  const void* x;
  std::int64_t x_stride;
  const void *shift, *scale;
  std::int64_t shift_stride, scale_stride;
  void* y;
  std::int64_t y_stride;
  float eps;
};

void modulated_layer_norm(const ModulatedLayerNorm& arguments, Stream stream);

struct GatedResidual {
  DType dtype;
  std::int64_t rows, rows_per_image;
  int width;
  const void* x;
  std::int64_t x_stride;
  const void* gate;
  std::int64_t gate_stride;
  const void* branch;
  std::int64_t branch_stride;
  void* y;
  std::int64_t y_stride;
};

void gated_residual(const GatedResidual& arguments, Stream stream);

}  // namespace switchyard::kernels::cuda

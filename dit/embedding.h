// How images, positions and timesteps become tokens and vectors (Peebles and Xie 2023; Vaswani et al. 2017).
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::dit {

inline constexpr int64_t kTimestepFrequencies = 256;

/// [cos(t f_i), sin(t f_i)], f_i = 10000^(-i / (128 - shift)), i = 0 .. 127. t [N] fp32 -> [N, 256] fp32.
at::Tensor timestep_embedding(const at::Tensor& t, int64_t shift = 0);

/// Fixed sine-cosine embedding of a side x side grid: the first half of the width codes the column, the
/// second the row.
/// -> [1, side * side, width] fp32; width a multiple of 4.
at::Tensor position_embedding(int64_t width, int64_t side);

/// [N, C, H, W] -> [N, T, C * p * p], tokens in row-major order of patches, each flattened as (channel, row,
/// column).
at::Tensor patchify(const at::Tensor& images, int64_t patch_size);

/// [N, T, p * p * C] -> [N, C, H, W]; each token flattened as (row, column, channel), the order of the
/// official final layer.
at::Tensor unpatchify(const at::Tensor& tokens, int64_t patch_size, int64_t channels);

}  // namespace switchyard::dit

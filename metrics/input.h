// From decoded pictures to the input of a network: one batch of one size, in the network's range of values.
//
// Pictures are uint8 [H, W, 3] on the CPU, any strides, of any sizes; a batch is fp32 [N, 3, side, side], channels
// last.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>

namespace switchyard::metrics {

/// y = x * scale + shift, per channel, of pixels from 0 to 255.
struct Range {
  std::array<float, 3> scale = {1, 1, 1}, shift = {0, 0, 0};

  /// (x / 255 - mean) / std with the statistics of ImageNet.
  static Range imagenet();
};

/// Where a bilinear resize without antialias reads: at (i + 0.5) * in / out - 0.5 (PyTorch's align_corners=False), or
/// at i * in / out (TensorFlow 1's resize_bilinear).
enum class Sampling { centres, corners };

/// Throws std::invalid_argument where a picture is none, naming its number.
void require_pictures(at::ArrayRef<at::Tensor> images);

at::Tensor bilinear_batch(at::ArrayRef<at::Tensor> images, int64_t side, Sampling sampling,
                          const Range& range);

/// Each picture through `resize`, which gives [side, side, 3], uint8 or fp32.
at::Tensor resized_batch(at::ArrayRef<at::Tensor> images, int64_t side,
                         const std::function<at::Tensor(const at::Tensor&)>& resize, const Range& range);

}  // namespace switchyard::metrics

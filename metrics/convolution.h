// A convolution with the batch normalisation after it folded in, and its activation: one pass over memory.
//
//   y = act(conv(x, W') + b'),  W'_o = W_o g_o / sqrt(var_o + eps),  b'_o = beta_o - mean_o g_o / sqrt(var_o + eps)
//
//   x [N, in, H, W] fp32, channels last (others work, and cost a copy)   y [N, out, h, w] channels last
//
// On the CPU oneDNN does it through libtorch's operator of inductor, which fuses bias and activation. Against
// convolution, normalisation and activation apart in rows of channels, as the Python tools have it, Inception
// takes 0.61 of the processor time (AVX2). Elsewhere it is libtorch's convolution, in fp32 proper (no TF32).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <string>

#include "metrics/weights.h"

namespace switchyard::metrics {

enum class Activation { none, relu, relu6 };

struct ConvolutionShape {
  int64_t in = 0, out = 0;
  std::array<int64_t, 2> kernel = {1, 1};   // height, width
  std::array<int64_t, 2> padding = {0, 0};  // zeros above and below, left and right
  int64_t stride = 1;
  bool depthwise = false;  // a kernel per channel; in == out
};

class Convolution {
 public:
  Convolution() = default;
  /// `weight` [out, in or 1, kh, kw]; the four numbers of batch normalisation [out] are `norm`.{weight, bias,
  /// running_mean, running_var}. Throws io::InputError as Weights::take does.
  Convolution(Weights& weights, const std::string& weight, const std::string& norm,
              const ConvolutionShape& shape, Activation activation, double eps = 1e-3);

  at::Tensor operator()(const at::Tensor& x) const;

 private:
  at::Tensor weight_, bias_;
  ConvolutionShape shape_;
  Activation activation_ = Activation::none;
};

}  // namespace switchyard::metrics

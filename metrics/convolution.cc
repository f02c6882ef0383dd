#include "metrics/convolution.h"

#include <ATen/ATen.h>

#include "kernels/linear/library_operator.h"

namespace switchyard::metrics {
namespace {

using Pointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view,
                             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

at::Tensor fused(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 const ConvolutionShape& shape, Activation activation) {
  static const auto operation = kernels::library_operator<Pointwise>("mkldnn::_convolution_pointwise");
  c10::List<std::optional<at::Scalar>> bounds;
  if (activation == Activation::relu6) {
    bounds.push_back(at::Scalar(0.0));
    bounds.push_back(at::Scalar(6.0));
  }
  const auto name = activation == Activation::relu    ? "relu"
                    : activation == Activation::relu6 ? "hardtanh"
                                                      : "none";
  return operation.call(x, weight, bias, shape.padding, {shape.stride, shape.stride}, {1, 1},
                        shape.depthwise ? shape.in : 1, name, bounds, "");
}

at::Tensor plain(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                 const ConvolutionShape& shape, Activation activation) {
  auto y = at::_convolution(x, weight, bias, {shape.stride, shape.stride}, shape.padding, {1, 1},
                            /*transposed=*/false, {0, 0}, shape.depthwise ? shape.in : 1, /*benchmark=*/false,
                            /*deterministic=*/true,
                            /*cudnn_enabled=*/true, /*allow_tf32=*/false);
  switch (activation) {
    case Activation::relu:
      return at::relu_(y);
    case Activation::relu6:
      return at::hardtanh_(y, 0, 6);
    case Activation::none:
      break;
  }
  return y;
}

}  // namespace

Convolution::Convolution(Weights& weights, const std::string& weight, const std::string& norm,
                         const ConvolutionShape& shape, Activation activation, double eps)
    : shape_(shape), activation_(activation) {
  const auto number = [&](const char* name) {
    return weights.take(norm + "." + name, {shape.out}).to(at::kDouble);
  };
  const auto factor = number("weight") / (number("running_var") + eps).sqrt();
  bias_ = (number("bias") - number("running_mean") * factor).to(at::kFloat);
  const auto kernel =
      weights.take(weight, {shape.out, shape.depthwise ? 1 : shape.in, shape.kernel[0], shape.kernel[1]});
  weight_ = (kernel * factor.view({-1, 1, 1, 1})).to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor Convolution::operator()(const at::Tensor& x) const {
  const bool has_onednn = x.is_cpu() && at::globalContext().hasMKLDNN();
  return (has_onednn ? fused : plain)(x, weight_, bias_, shape_, activation_);
}

}  // namespace switchyard::metrics

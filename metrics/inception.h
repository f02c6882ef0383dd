// The Inception v3 that FID is defined on: the network of December 2015 with 1008 outputs, in its PyTorch form
// (pt_inception-2015-12-05-6726825d.pth of pytorch-fid; weights-inception-2015-12-05-6726825d.pth of
// torch-fidelity is the same file).
//
// It differs from torchvision's Inception v3 in that average pooling leaves the padding out of its count, and the
// last block pools by maximum.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "metrics/convolution.h"
#include "metrics/feature_network.h"

namespace switchyard::metrics {

/// How pictures become its input of 299 x 299.
enum class InceptionInput {
  pytorch_fid,     // bilinear without antialias, sampling centres; x / 255 * 2 - 1
  torch_fidelity,  // TensorFlow 1's bilinear, sampling corners; (x - 128) / 128
  clean_fid,       // Pillow's bicubic with antialias in float, clipped to [0, 255]; (x - 128) / 128
};

class Inception final : public FeatureNetwork {
 public:
  /// Called with "input" and the name of each module ("MaxPool_1", "Mixed_6e"), and its output [N, C, h, w],
  /// batch by batch.
  using Observer = std::function<void(const std::string& module, const at::Tensor& output)>;

  /// As open_network.
  Inception(InceptionInput input, const std::filesystem::path& file, at::Device device);

  const NetworkFacts& facts() const override { return facts_; }
  Features operator()(at::ArrayRef<at::Tensor> images) const override { return observed(images, {}); }
  Features observed(at::ArrayRef<at::Tensor> images, const Observer& observer) const;

  /// [1008]: what the logits of the features lack.
  const at::Tensor& logit_bias() const { return logit_bias_; }

 private:
  Features forward(at::Tensor x, const Observer& observer) const;

  InceptionInput input_;
  at::Device device_;
  NetworkFacts facts_;
  std::map<std::string, Convolution> convolutions_;
  at::Tensor logit_weight_, logit_bias_;  // [1008, 2048], [1008]
};

}  // namespace switchyard::metrics

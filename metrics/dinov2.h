// DINOv2's vision transformer with patches of 14 (Oquab et al. 2023), as dgm-eval uses it for FD-DINOv2 (Stein et al.
// 2023): the class token of ViT-L/14 after the last normalisation.
//
// The names are those of the published state dict (dinov2_vitl14_pretrain.pth); width and depth follow from its
// tensors, heads are 64 wide. The input is Pillow's bicubic to 224 x 224 (whatever the picture's proportions), then
// (x / 255 - mean) / std with ImageNet's statistics. The published positions, of 37 x 37 patches, are resized to 16 x 16
// as the release does: bicubic without antialias, at the scale (16 + 0.1) / 37.
#pragma once

#include <vector>

#include "kernels/linear/linear.h"
#include "metrics/feature_network.h"
#include "metrics/weights.h"

namespace switchyard::metrics {

class DinoV2 final : public FeatureNetwork {
 public:
  /// As open_network; another transformer than ViT-L/14 is a warning in the facts.
  DinoV2(const std::filesystem::path& file, at::Device device);

  const NetworkFacts& facts() const override { return facts_; }
  Features operator()(at::ArrayRef<at::Tensor> images) const override;

 private:
  struct Norm {
    at::Tensor weight, bias;  // [width]
  };
  struct Block {
    Norm norm1, norm2;
    kernels::PackedLinear qkv, out, up, down;  // out and down with their layer scale
  };

  at::Tensor forward(const at::Tensor& x) const;  // [N, 3, 224, 224] -> [N, width]
  at::Tensor normalised(const at::Tensor& x, const Norm& norm) const;

  at::Device device_;
  NetworkFacts facts_;
  kernels::PackedLinear patches_;
  at::Tensor first_;      // [1, 1, width]: the class token with its position
  at::Tensor positions_;  // [1, 16 * 16, width]
  std::vector<Block> blocks_;
  Norm norm_;
};

}  // namespace switchyard::metrics

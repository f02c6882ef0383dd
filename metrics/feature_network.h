// Networks whose features pictures are compared by: what Frechet distances, KID, precision and recall are computed on.
//
// A network takes pictures as they were decoded and does all of its convention's own work: resizing, value range,
// forward, pooling. What it did is in its facts, because a distance means nothing without them.
//
//   name                      features  a distance is called   convention
//   efficientnet-lite0        1280      FD-EfficientNet-Lite0  efficientnet-lite-pytorch's ImageNet evaluation
//   efficientnet-lite2        1280      FD-EfficientNet-Lite2
//   inception-pytorch-fid     2048      FID                    pytorch-fid (Seitzer 2020)
//   inception-torch-fidelity  2048      FID                    torch-fidelity (Obukhov 2020), TensorFlow's resize; also ADM's sFID
//   inception-clean-fid       2048      FID (clean)            clean-fid (Parmar et al. 2022)
//   dinov2                    1024      FD-DINOv2              dgm-eval (Stein et al. 2023), ViT-L/14
//
// Networks are for inference, in fp32, without gradients. An image's features do not depend on its batch beyond
// rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace switchyard::metrics {

/// What has to stand beside a number that was computed with a network.
struct NetworkFacts {
  std::string name;             // "Inception (pytorch-fid)"
  std::string distance;         // what a Frechet distance of its features is called: "FID"
  std::string kernel_distance;  // and a kernel distance: "KID"
  int64_t dimension = 0;        // of the features
  int64_t side = 0;             // of its input, in pixels
  std::string resize;           // "bilinear, no antialias"
  std::string range;            // "x / 255 * 2 - 1"
  std::string file;             // the weights' file name
  std::string hash;             // SHA-256 of that file, 64 hex digits
  std::string warning;          // empty, or why these are not the weights that the names above stand for
};

struct Features {
  at::Tensor features;  // [N, dimension] fp32, on the CPU like the rest
  at::Tensor spatial;   // [N, 2023] fp32, for sFID (Nash et al. 2021); undefined but for Inception
  at::Tensor logits;  // [N, 1008] fp32 without the bias, for the inception score; undefined but for Inception
};

class FeatureNetwork {
 public:
  virtual ~FeatureNetwork() = default;
  virtual const NetworkFacts& facts() const = 0;

  /// images: uint8 [H, W, 3] on the CPU, whose sizes may differ; as many at once as the caller likes, but 32 are
  /// enough for full speed. Throws std::invalid_argument for other dtypes and shapes. Safe from several threads.
  virtual Features operator()(at::ArrayRef<at::Tensor> images) const = 0;
};

std::vector<std::string> network_names();  // the table above, in its order

/// The weights from `file`, or from where find_weights looks. Throws std::invalid_argument for an unknown name, with
/// its near misses, and io::InputError for a file that is missing (the message says where it can be had and where
/// it goes) or holds other tensors. Another checksum than the published file's is a warning in the facts.
std::unique_ptr<FeatureNetwork> open_network(const std::string& name, const std::filesystem::path& file = {},
                                             at::Device device = at::kCPU);

}  // namespace switchyard::metrics

#include "metrics/dinov2.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "data/resize.h"
#include "io/error.h"
#include "kernels/attention/attention.h"
#include "metrics/input.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kSide = 224, kPatch = 14, kGrid = kSide / kPatch, kPublishedGrid = 37;
constexpr int64_t kHead = 64;
constexpr size_t kBatch = 8;  // at once

const PublishedFile kFile = {
    {"dinov2_vitl14_pretrain.pth"},
    "from the table of pretrained models of github.com/facebookresearch/dinov2, ViT-L/14, "
    "backbone only",
    ""};

at::Tensor resized_positions(const at::Tensor& published) {  // [1, 37 * 37, width] -> [1, 16 * 16, width]
  const int64_t width = published.size(2);
  const auto grid = published.view({1, kPublishedGrid, kPublishedGrid, width}).permute({0, 3, 1, 2});
  const double scale = (kGrid + 0.1) / kPublishedGrid;
  return at::upsample_bicubic2d(grid, {kGrid, kGrid}, /*align_corners=*/false, scale, scale)
      .flatten(2)
      .mT()
      .contiguous();
}

}  // namespace

DinoV2::DinoV2(const std::filesystem::path& file, at::Device device) : device_(device) {
  Weights weights(kFile, file, device);
  const auto first = weights.shape("cls_token");
  const int64_t width = first.empty() ? 0 : first.back();
  if (width == 0 || width % kHead != 0)
    throw io::InputError(weights.path().string() + ": expected a width that is a multiple of " +
                         std::to_string(kHead) + " in cls_token, found " + std::to_string(width));
  const auto norm = [&](const std::string& name) {
    return Norm{weights.take(name + ".weight", {width}), weights.take(name + ".bias", {width})};
  };
  const auto linear = [&](const std::string& name, int64_t in, int64_t out, const std::string& scale = {}) {
    auto weight = weights.take(name + ".weight", {out, in}), bias = weights.take(name + ".bias", {out});
    if (!scale.empty()) {
      const auto gamma = weights.take(scale + ".gamma", {out});
      weight = weight * gamma.unsqueeze(1);
      bias = bias * gamma;
    }
    return kernels::PackedLinear(weight, bias);
  };
  // A patch is a row of 3 * 14 * 14 numbers, and its convolution a product.
  patches_ =
      kernels::PackedLinear(weights.take("patch_embed.proj.weight", {width, 3, kPatch, kPatch}).flatten(1),
                            weights.take("patch_embed.proj.bias", {width}));
  const auto positions = weights.take("pos_embed", {1, 1 + kPublishedGrid * kPublishedGrid, width});
  first_ = weights.take("cls_token", {1, 1, width}) + positions.narrow(1, 0, 1);
  positions_ = resized_positions(positions.narrow(1, 1, kPublishedGrid * kPublishedGrid));
  const auto name_of = [](size_t block) { return "blocks." + std::to_string(block); };
  while (weights.has(name_of(blocks_.size()) + ".norm1.weight")) {
    const auto name = name_of(blocks_.size());
    blocks_.push_back({.norm1 = norm(name + ".norm1"),
                       .norm2 = norm(name + ".norm2"),
                       .qkv = linear(name + ".attn.qkv", width, 3 * width),
                       .out = linear(name + ".attn.proj", width, width, name + ".ls1"),
                       .up = linear(name + ".mlp.fc1", width, 4 * width),
                       .down = linear(name + ".mlp.fc2", 4 * width, width, name + ".ls2")});
  }
  norm_ = norm("norm");
  weights.pass_over("mask_token");  // of its training
  weights.require_all_taken();

  facts_ = {.name = "DINOv2 ViT-L/14",
            .distance = "FD-DINOv2",
            .kernel_distance = "KD-DINOv2",
            .dimension = width,
            .side = kSide,
            .resize = "Pillow bicubic with antialias",
            .range = "(x / 255 - mean) / std of ImageNet",
            .file = weights.path().filename().string(),
            .hash = weights.hash(),
            .warning = weights.warning()};
  constexpr int64_t kWidth = 1024, kDepth = 24;  // of ViT-L
  if (width != kWidth || blocks_.size() != kDepth)
    facts_.warning = facts_.file +
                     " is not ViT-L/14 (width 1024, 24 blocks), which FD-DINOv2 is computed with, but " +
                     std::to_string(width) + " wide with " + std::to_string(blocks_.size()) + " blocks";
}

Features DinoV2::operator()(at::ArrayRef<at::Tensor> images) const {
  const auto resize = [](const at::Tensor& image) {
    return data::resized(image, kSide, kSide, data::Filter::bicubic);
  };
  std::vector<at::Tensor> features;
  for (size_t begin = 0; begin < images.size(); begin += kBatch) {
    const auto part = images.slice(begin, std::min(kBatch, images.size() - begin));
    features.push_back(forward(resized_batch(part, kSide, resize, Range::imagenet()).to(device_)));
  }
  return {.features = features.empty() ? at::empty({0, facts_.dimension}) : at::cat(features).cpu(),
          .spatial = {},
          .logits = {}};
}

at::Tensor DinoV2::normalised(const at::Tensor& x, const Norm& norm) const {
  return at::layer_norm(x, {facts_.dimension}, norm.weight, norm.bias, 1e-6);
}

at::Tensor DinoV2::forward(const at::Tensor& images) const {
  const int64_t n = images.size(0), heads = facts_.dimension / kHead;
  const auto rows = images.reshape({n, 3, kGrid, kPatch, kGrid, kPatch})
                        .permute({0, 2, 4, 1, 3, 5})
                        .reshape({n, kGrid * kGrid, 3 * kPatch * kPatch});
  auto x = at::cat({first_.expand({n, -1, -1}), patches_(rows) + positions_}, 1);  // [N, T, width]
  for (const auto& block : blocks_) {
    const auto qkv =
        block.qkv(normalised(x, block.norm1)).view({n, x.size(1), 3, heads, kHead}).permute({2, 0, 3, 1, 4});
    x = x + block.out(kernels::attention(qkv[0], qkv[1], qkv[2]));
    x = x + block.down(at::gelu(block.up(normalised(x, block.norm2))));
  }
  return normalised(x.select(1, 0), norm_);
}

}  // namespace switchyard::metrics

#include "pipeline/latent_preview.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

namespace switchyard::pipeline {
namespace {

at::Tensor with_one(const at::Tensor& latents) {  // [N, C, h, w] -> [N h w, C + 1]
  const auto rows = latents.to(at::kCPU, at::kFloat).permute({0, 2, 3, 1}).flatten(0, 2);
  return at::cat({rows, at::ones({rows.size(0), 1})}, 1);
}

}  // namespace

LatentPreview::LatentPreview(const vae::Autoencoder& decoder) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kPictures = 6, kSide = 8, kPatches = 4;
  const auto& c = decoder.config();
  const auto generator = at::detail::createCPUGenerator(17);
  // Neighbours resemble each other in real latents; of unit variance, as denoisers have them.
  const auto coarse = at::randn({kPictures, c.latent_channels, kPatches, kPatches}, generator);
  const auto latents = at::upsample_nearest2d(coarse, {kSide, kSide});
  const auto pictures = *decoder.decode(latents);
  const auto colours = at::avg_pool2d(pictures, {c.downsampling(), c.downsampling()});  // [N, colours, h, w]
  map_ = std::get<0>(at::linalg_lstsq(with_one(latents), colours.permute({0, 2, 3, 1}).flatten(0, 2)));
}

at::Tensor LatentPreview::operator()(const at::Tensor& latents) const {
  const auto rows = at::mm(with_one(latents), map_);
  return rows.view({latents.size(0), latents.size(2), latents.size(3), -1}).permute({0, 3, 1, 2}).contiguous();
}

}  // namespace switchyard::pipeline

// The noise of sampling: one generator per image.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace switchyard::sampler {

/// Seeds lie in 0..2^32-1: the Mersenne Twister behind libtorch's CPU generator drops all higher bits, so
/// that a larger seed would silently repeat another image's noise.
inline constexpr std::uint64_t kMaxSeed = 0xffff'ffff;

/// Draws for a batch; image i depends on seeds[i], chw and how many draws went before, on nothing else.
class ImageNoise {
 public:
  /// Throws std::invalid_argument for a seed above kMaxSeed.
  ImageNoise(std::span<const std::uint64_t> seeds, at::IntArrayRef chw);

  /// [seeds.size(), C, H, W] float32 on the CPU, standard normal. Image i's k-th draw equals the k-th
  /// torch.randn(chw) after torch.manual_seed(seeds[i]).
  at::Tensor operator()();

 private:
  std::vector<at::Generator> generators_;
  std::vector<std::int64_t> shape_;  // [N,C,H,W]
};

/// The first draw, which is where images start from.
at::Tensor initial_noise(std::span<const std::uint64_t> seeds, at::IntArrayRef chw);

}  // namespace switchyard::sampler

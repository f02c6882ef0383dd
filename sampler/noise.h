// The noise that images start from: one generator per image.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

namespace switchyard::sampler {

/// Seeds lie in 0..2^32-1: the Mersenne Twister behind libtorch's CPU generator drops all higher bits, so
/// that a larger seed would silently repeat another image's noise.
inline constexpr std::uint64_t kMaxSeed = 0xffff'ffff;

/// [seeds.size(), C, H, W] float32 on the CPU, standard normal. Image i depends on seeds[i] and chw alone and
/// equals torch.randn(chw) after torch.manual_seed(seeds[i]). Throws std::invalid_argument for a seed above
/// kMaxSeed.
at::Tensor initial_noise(std::span<const std::uint64_t> seeds, at::IntArrayRef chw);

}  // namespace switchyard::sampler

#include "sampler/noise.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <c10/util/StringUtil.h>

#include <stdexcept>

namespace switchyard::sampler {

ImageNoise::ImageNoise(std::span<const std::uint64_t> seeds, at::IntArrayRef chw)
    : shape_{static_cast<std::int64_t>(seeds.size())} {
  shape_.insert(shape_.end(), chw.begin(), chw.end());
  for (const std::uint64_t seed : seeds) {
    if (seed > kMaxSeed) throw std::invalid_argument(c10::str("seed is ", seed, ", expected 0..", kMaxSeed));
    generators_.push_back(at::make_generator<at::CPUGeneratorImpl>(seed));
  }
}

at::Tensor ImageNoise::operator()() {
  const at::Tensor noise = at::empty(shape_, at::kFloat);  // [N,C,H,W]
  for (std::size_t i = 0; i < generators_.size(); ++i) {
    noise[static_cast<std::int64_t>(i)].normal_(0.0, 1.0, generators_[i]);
  }
  return noise;
}

at::Tensor initial_noise(std::span<const std::uint64_t> seeds, at::IntArrayRef chw) {
  return ImageNoise(seeds, chw)();
}

}  // namespace switchyard::sampler

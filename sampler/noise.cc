#include "sampler/noise.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <c10/util/StringUtil.h>

#include <stdexcept>
#include <vector>

namespace switchyard::sampler {

at::Tensor initial_noise(std::span<const std::uint64_t> seeds, at::IntArrayRef chw) {
  std::vector<std::int64_t> shape = {static_cast<std::int64_t>(seeds.size())};
  shape.insert(shape.end(), chw.begin(), chw.end());
  const at::Tensor noise = at::empty(shape, at::kFloat);  // [N,C,H,W]
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    if (seeds[i] > kMaxSeed) {
      throw std::invalid_argument(c10::str("seed is ", seeds[i], ", expected 0..", kMaxSeed));
    }
    noise[static_cast<std::int64_t>(i)].normal_(0.0, 1.0, at::make_generator<at::CPUGeneratorImpl>(seeds[i]));
  }
  return noise;
}

}  // namespace switchyard::sampler

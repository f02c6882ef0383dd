#include "train/noise.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>

namespace switchyard::train {

at::Tensor normal_noise(const at::Tensor& images, const at::Generator& generator) {
  if (images.device().is_cpu()) return at::randn(images.sizes(), generator);
  const auto seed = at::empty({}, at::kLong).random_(generator).item<int64_t>();
  auto on_device = at::globalContext().defaultGenerator(images.device()).clone();
  on_device.set_current_seed(static_cast<uint64_t>(seed));
  return at::randn(images.sizes(), on_device, images.options());
}

}  // namespace switchyard::train

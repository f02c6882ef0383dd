// The noise that training mixes into images.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

namespace switchyard::train {

/// Standard normal, fp32, of the shape and on the device of `images`. It comes from the CPU's generator, or on a GPU,
/// which would wait for that, from one there that is seeded by it: another noise.
at::Tensor normal_noise(const at::Tensor& images, const at::Generator& generator);

}  // namespace switchyard::train

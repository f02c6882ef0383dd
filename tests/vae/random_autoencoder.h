// Small autoencoders with random parameters, and comparisons.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "vae/autoencoder.h"

namespace switchyard::vae {

/// Three levels, so that the factor between image and latent is 4.
inline VaeConfig small_config() {
  VaeConfig config;
  config.block_out_channels = {8, 16, 24};
  config.layers_per_block = 1;
  config.norm_num_groups = 4;
  return config;
}

inline at::Tensor random(at::IntArrayRef shape, uint64_t seed) {
  return at::randn(shape, at::detail::createCPUGenerator(seed));
}

/// Values in the order in which they are asked for; scaled so that activations keep their size.
inline ParameterSource random_source(uint64_t seed = 0) {
  return [generator = at::detail::createCPUGenerator(seed)](const std::string& name, at::IntArrayRef shape) {
    const auto values = at::randn(shape, generator);
    if (shape.size() > 1)
      return values * std::sqrt(static_cast<double>(shape[0]) / static_cast<double>(values.numel()));
    return name.ends_with(".weight") ? 1 + 0.4 * values : 0.2 * values;  // of a normalisation, or a bias
  };
}

inline Autoencoder random_autoencoder(const VaeConfig& config, at::ScalarType dtype = at::kFloat,
                                      at::MemoryFormat format = at::MemoryFormat::ChannelsLast) {
  return Autoencoder(config, random_source(), {.dtype = dtype, .format = format});
}

inline std::map<std::string, at::Tensor> random_tensors(const VaeConfig& config) {
  std::map<std::string, at::Tensor> tensors;
  Autoencoder(config, [&, source = random_source()](const std::string& name, at::IntArrayRef shape) {
    return tensors[name] = source(name, shape);
  });
  return tensors;
}

/// max |actual - expected| / max |expected|; infinite for another shape or a value that is not finite.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes() || expected.numel() == 0) return kInfinite;
  const auto a = actual.to(at::kDouble), e = expected.to(at::kDouble);
  const double difference = (a - e).abs().max().item<double>();
  if (difference == 0) return 0;
  const double error = difference / e.abs().max().item<double>();
  return std::isfinite(error) ? error : kInfinite;
}

}  // namespace switchyard::vae

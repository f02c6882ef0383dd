#include "dit/parts.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

namespace switchyard::dit {

Linear::Linear(int64_t out, int64_t in, const at::TensorOptions& options)
    : weight(at::empty({out, in}, options)), bias(at::empty({out}, options)) {}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (packed.defined()) return packed(x);
  return kernels::linear_reference(x, weight.dim() > 2 ? weight.flatten(1) : weight, bias);
}

void Linear::pack(kernels::Packing packing) {
  packed = kernels::PackedLinear(weight.flatten(1), bias, packing);
  give_up(weight);
}

void give_up(at::Tensor& weight) { weight = at::empty_like(weight, at::kMeta); }

void xavier_uniform(at::Tensor matrix, const at::Generator& generator) {
  const double fan_out = static_cast<double>(matrix.size(0));
  const double fan_in = static_cast<double>(matrix.numel()) / fan_out;
  const double bound = std::sqrt(6.0 / (fan_in + fan_out));
  matrix.uniform_(-bound, bound, generator);
}

void Part::add_state(const std::string& prefix, StateDict& state) {
  for (const auto& [name, tensor] : parameters(prefix)) state[name] = tensor->detach();
  for (const auto& [name, tensor] : buffers(prefix)) state[name] = *tensor;
}

void Part::add_derived_state(const std::string&, StateDict&) const {}

void require(bool condition, const std::string& message) {
  if (!condition) throw std::invalid_argument("model configuration: " + message);
}

void require_size(const char* field, int64_t value, int64_t least, int64_t most) {
  require(value >= least && value <= most, std::string(field) + " must be in " + std::to_string(least) +
                                               " .. " + std::to_string(most) + ", got " +
                                               std::to_string(value));
}

}  // namespace switchyard::dit

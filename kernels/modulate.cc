#include "kernels/modulate.h"

#include <ATen/ATen.h>

namespace switchyard::kernels {

at::Tensor modulated_layer_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale) {
  const auto norm = at::layer_norm(x, {x.size(-1)}, {}, {}, kLayerNormEps);
  return at::addcmul(shift.unsqueeze(1), norm, (scale + 1).unsqueeze(1));
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  return at::addcmul(x, gate.unsqueeze(1), branch);
}

}  // namespace switchyard::kernels

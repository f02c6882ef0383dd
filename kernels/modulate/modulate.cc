#include "kernels/modulate/modulate.h"

#include <ATen/ATen.h>

#include "kernels/modulate/modulate_forms.h"
#include "kernels/on_device.h"
#include "kernels/rows/rows.h"

namespace switchyard::kernels {

at::Tensor modulated_layer_norm_reference(const at::Tensor& x, const at::Tensor& shift,
                                          const at::Tensor& scale, double eps) {
  const auto norm = at::layer_norm(x, {x.size(-1)}, {}, {}, eps);
  return at::addcmul(shift.unsqueeze(1), norm, (scale + 1).unsqueeze(1));
}

at::Tensor gated_residual_reference(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  return at::addcmul(x, gate.unsqueeze(1), branch);
}

at::Tensor modulated_layer_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                                double eps) {
  if (const auto* kernels = cuda_kernels({x, shift, scale}); kernels && x.size(2) <= cuda::kMaxLayerNormWidth)
    return modulated_layer_norm_cuda(*kernels, x, shift, scale, eps);
  if (has_row_loops(x)) return modulated_layer_norm_cpu(x, shift, scale, eps);
  return modulated_layer_norm_reference(x, shift, scale, eps);
}

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  if (const auto* kernels = cuda_kernels({x, gate, branch}))
    return gated_residual_cuda(*kernels, x, gate, branch);
  if (has_row_loops(x)) return gated_residual_cpu(x, gate, branch);
  return gated_residual_reference(x, gate, branch);
}

}  // namespace switchyard::kernels

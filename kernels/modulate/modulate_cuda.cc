// adaLN and the gated residual on a GPU: tensors to the kernels of kernels/modulate/modulate_kernel.h.
#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include "kernels/modulate/modulate.h"
#include "kernels/modulate/modulate_forms.h"
#include "kernels/on_device.h"

namespace switchyard::kernels {

at::Tensor modulated_layer_norm_cuda(const cuda::Backend& kernels, const at::Tensor& x,
                                     const at::Tensor& shift, const at::Tensor& scale, double eps) {
  const c10::DeviceGuard on(x.device());
  const auto rows = as_rows(x), shift_rows = as_rows(shift), scale_rows = as_rows(scale);
  auto y = at::empty(x.sizes(), x.options());
  kernels.modulated_layer_norm({.dtype = cuda_dtype(x),
                                .rows = rows.size(0),
                                .rows_per_image = x.size(1),
                                .width = static_cast<int>(x.size(2)),
                                .x = rows.const_data_ptr(),
                                .x_stride = rows.stride(0),
                                .shift = shift_rows.const_data_ptr(),
                                .scale = scale_rows.const_data_ptr(),
                                .shift_stride = shift_rows.stride(0),
                                .scale_stride = scale_rows.stride(0),
                                .y = y.mutable_data_ptr(),
                                .y_stride = x.size(2),
                                .eps = static_cast<float>(eps)},
                               current_stream(x));
  return y;
}

at::Tensor gated_residual_cuda(const cuda::Backend& kernels, const at::Tensor& x, const at::Tensor& gate,
                               const at::Tensor& branch) {
  const c10::DeviceGuard on(x.device());
  const auto rows = as_rows(x), gate_rows = as_rows(gate), branch_rows = as_rows(branch);
  auto y = at::empty(x.sizes(), x.options());
  kernels.gated_residual({.dtype = cuda_dtype(x),
                          .rows = rows.size(0),
                          .rows_per_image = x.size(1),
                          .width = static_cast<int>(x.size(2)),
                          .x = rows.const_data_ptr(),
                          .x_stride = rows.stride(0),
                          .gate = gate_rows.const_data_ptr(),
                          .gate_stride = gate_rows.stride(0),
                          .branch = branch_rows.const_data_ptr(),
                          .branch_stride = branch_rows.stride(0),
                          .y = y.mutable_data_ptr(),
                          .y_stride = x.size(2)},
                         current_stream(x));
  return y;
}

}  // namespace switchyard::kernels

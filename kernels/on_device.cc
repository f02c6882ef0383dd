#include "kernels/on_device.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace switchyard::kernels {

const cuda::Backend* cuda_kernels(std::initializer_list<at::Tensor> operands) {
  const auto& first = *operands.begin();
  if (!first.device().is_cuda()) return nullptr;
  for (const auto& operand : operands) {
    if (operand.device() != first.device() || operand.scalar_type() != first.scalar_type()) return nullptr;
    if (at::GradMode::is_enabled() && operand.requires_grad()) return nullptr;
  }
  if (first.scalar_type() != at::kFloat && first.scalar_type() != at::kBFloat16) return nullptr;
  return cuda::backend();
}

cuda::Stream current_stream(const at::Tensor& tensor) {
  if (tensor.device().is_cpu()) return nullptr;
  // Through c10's table of devices: this file links without libtorch_cuda.
  const c10::impl::VirtualGuardImpl devices(tensor.device().type());
  return static_cast<cuda::Stream>(devices.getStreamNativeHandle(devices.getStream(tensor.device())));
}

cuda::DType cuda_dtype(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kBFloat16 ? cuda::DType::bf16 : cuda::DType::f32;
}

at::Tensor as_rows(const at::Tensor& x) {
  const auto rows = x.reshape({-1, x.size(-1)});
  return rows.stride(1) == 1 || rows.size(1) == 1 ? rows : rows.contiguous();
}

}  // namespace switchyard::kernels

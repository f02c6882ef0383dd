// The forms of adaLN and the gated residual that modulate.cc chooses from; what they compute is in
// modulate.h.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cuda/backend.h"

namespace switchyard::kernels {

// On the CPU in fp32 or bf16 (has_row_loops), fused, with gradient.
at::Tensor modulated_layer_norm_cpu(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                                    double eps);
at::Tensor gated_residual_cpu(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch);

// On a GPU in fp32 or bf16, without gradient.
at::Tensor modulated_layer_norm_cuda(const cuda::Backend& kernels, const at::Tensor& x,
                                     const at::Tensor& shift, const at::Tensor& scale, double eps);
at::Tensor gated_residual_cuda(const cuda::Backend& kernels, const at::Tensor& x, const at::Tensor& gate,
                               const at::Tensor& branch);

}  // namespace switchyard::kernels

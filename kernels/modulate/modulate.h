// The adaptive layer norm of diffusion transformers (adaLN; Peebles and Xie 2023, section 3.2), with
// gradient.
//
//   modulated_layer_norm:  y = norm(x) * (1 + scale) + shift
//                          norm(x) = (x - mean) / sqrt(var + eps) over the last axis
//
//   gated_residual:        y = x + gate * branch
//
//   x, branch, y         [N, T, D]   fp32 or bf16
//   shift, scale, gate   [N, D]      same dtype; one vector per image, shared by its T tokens
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

inline constexpr double kLayerNormEps = 1e-6;

at::Tensor modulated_layer_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                                double eps = kLayerNormEps);
at::Tensor modulated_layer_norm_reference(const at::Tensor& x, const at::Tensor& shift,
                                          const at::Tensor& scale, double eps = kLayerNormEps);

at::Tensor gated_residual(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch);
at::Tensor gated_residual_reference(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch);

}  // namespace switchyard::kernels

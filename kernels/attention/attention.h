// Multi-head softmax attention: softmax(q k^T / sqrt(d)) v, each image and head apart, with gradient.
//
//   q, k, v  [N, heads, T, d]   fp32 or bf16, any strides
//   result   [N, T, heads * d]  contiguous
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

at::Tensor attention_reference(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

at::Tensor attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v);

}  // namespace switchyard::kernels

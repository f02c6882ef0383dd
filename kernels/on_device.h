// How an operation finds its CUDA kernel. Operations ask for it first and go on in plain ATen when there is
// none.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>

#include "kernels/cuda/backend.h"

namespace switchyard::kernels {

/// The CUDA kernels for these operands, or null: a build without nvcc, tensors that are not all on one CUDA
/// device and of one dtype out of fp32 and bf16, or a gradient that is wanted (the kernels have none).
const cuda::Backend* cuda_kernels(std::initializer_list<at::Tensor> operands);

/// The stream that libtorch's own operations on this tensor's device use now; null for a tensor on the CPU,
/// where the tests have the kernels run by an emulator.
cuda::Stream current_stream(const at::Tensor& tensor);

cuda::DType cuda_dtype(const at::Tensor& tensor);  // fp32 or bf16

/// x [..., width] as [rows, width] with neighbouring elements in memory; copied only when it must be.
at::Tensor as_rows(const at::Tensor& x);

}  // namespace switchyard::kernels

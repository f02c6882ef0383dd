// Activations of single numbers, for inference: silu, and the tanh form of gelu.
//
// A number's result depends on that number alone. libtorch's operators do not promise it: they compute what is
// left over at the end of a thread's part with another exponential, so that the last bits depend on how many
// numbers there are and how many threads share them.
//
//   x any shape, fp32 or bf16 on the CPU -> the same shape and dtype; anything else goes to libtorch, and so
//   does x where its gradient is wanted
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

at::Tensor silu(const at::Tensor& x);

at::Tensor gelu(const at::Tensor& x);

}  // namespace switchyard::kernels

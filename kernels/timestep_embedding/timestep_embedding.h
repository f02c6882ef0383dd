// The sinusoidal embedding of timesteps (Vaswani et al. 2017; Peebles and Xie 2023).
//
//   y[n] = [cos(t_n f_i), sin(t_n f_i)],   f_i = 10000^(-i / half),   i = 0 .. half - 1
//
//   t  [N]            any number type
//   y  [N, 2 * half]  fp32
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

at::Tensor timestep_embedding(const at::Tensor& t, int64_t half);

}  // namespace switchyard::kernels

// The sinusoidal embedding of timesteps (Vaswani et al. 2017; Peebles and Xie 2023).
//
//   y[n] = [cos(t_n f_i), sin(t_n f_i)],   f_i = 10000^(-i / (half - shift)),   i = 0 .. half - 1
//
//   shift 0 is the official DiT's; 1 is diffusers' (downscale_freq_shift), so that the last frequency is 1 / 10000.
//
//   t  [N]            any number type
//   y  [N, 2 * half]  fp32
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

/// half must be above shift. Throws c10::Error.
at::Tensor timestep_embedding(const at::Tensor& t, int64_t half, int64_t shift = 0);

}  // namespace switchyard::kernels

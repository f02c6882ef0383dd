// The CUDA kernels as the operations find them: a table of launchers, which backend.cc fills where nvcc
// compiled them, or none, from none.cc, where it did not. Code that calls through the table needs neither
// CUDA nor an #ifdef.
#pragma once

#include "kernels/experts/combine_kernel.h"
#include "kernels/experts/grouped_gradient_kernel.h"
#include "kernels/experts/grouped_matmul_kernel.h"
#include "kernels/modulate/modulate_kernel.h"
#include "kernels/routing/permute_kernel.h"
#include "kernels/routing/router_kernel.h"
#include "kernels/timestep_embedding/sampling_kernel.h"

namespace switchyard::kernels::cuda {

struct Backend {
  decltype(&cuda::modulated_layer_norm) modulated_layer_norm;
  decltype(&cuda::gated_residual) gated_residual;
  decltype(&cuda::route) route;
  decltype(&cuda::order_by_expert) order_by_expert;
  decltype(&cuda::count_experts) count_experts;
  decltype(&cuda::grouped_swiglu) grouped_swiglu;
  decltype(&cuda::grouped_linear) grouped_linear;
  decltype(&cuda::grouped_linear_backward) grouped_linear_backward;
  decltype(&cuda::grouped_swiglu_backward) grouped_swiglu_backward;
  decltype(&cuda::grouped_gradient) grouped_gradient;
  decltype(&cuda::combine) combine;
  decltype(&cuda::combine_backward) combine_backward;
  decltype(&cuda::timestep_embedding) timestep_embedding;
  decltype(&cuda::split_by_mask) split_by_mask;
};

/// Null in a build without CUDA. Needs no GPU and touches none.
const Backend* backend();

}  // namespace switchyard::kernels::cuda

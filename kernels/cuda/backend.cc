#include "kernels/cuda/backend.h"

namespace switchyard::kernels::cuda {

const Backend* backend() {
  static constexpr Backend kBackend = {
      .modulated_layer_norm = &modulated_layer_norm,
      .gated_residual = &gated_residual,
      .route = &route,
      .order_by_expert = &order_by_expert,
      .count_experts = &count_experts,
      .grouped_swiglu = &grouped_swiglu,
      .grouped_linear = &grouped_linear,
      .grouped_linear_backward = &grouped_linear_backward,
      .grouped_swiglu_backward = &grouped_swiglu_backward,
      .grouped_gradient = &grouped_gradient,
      .combine = &combine,
      .combine_backward = &combine_backward,
      .timestep_embedding = &timestep_embedding,
      .split_by_mask = &split_by_mask,
  };
  return &kBackend;
}

}  // namespace switchyard::kernels::cuda

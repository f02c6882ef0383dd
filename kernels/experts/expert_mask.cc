#include "kernels/experts/expert_mask.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include "kernels/on_device.h"

namespace switchyard::kernels {

at::Tensor expert_mask_reference(const at::Tensor& x, const Routing& routing, const at::Tensor& weight,
                                 const at::Tensor& bias) {
  auto m = at::ones_like(x);
  for (int64_t e = 0; e < weight.size(0); ++e) {
    const auto gate = (routing.gate_weights * (routing.experts == e)).sum(1);  // [N], 0 where not chosen
    m = m + gate.to(x.scalar_type()).view({-1, 1, 1}) * (at::matmul(x, weight[e]) + bias[e]);
  }
  return m;
}

at::Tensor expert_mask(const at::Tensor& x, const Routing& routing, const at::Tensor& weight,
                       const at::Tensor& bias) {
  const int64_t n = x.size(0), experts = weight.size(0), d = weight.size(1);
  const auto gates = at::zeros({n, experts}, routing.gate_weights.options())
                         .scatter_add(1, routing.experts.clamp_min(0), routing.gate_weights)  // empty slots weigh 0
                         .to(x.scalar_type());  // [N, E]
  const auto folded = at::mm(gates, weight.flatten(1)).view({n, d, d});
  const auto offset = at::mm(gates, bias).add(1.0).unsqueeze(1);  // [N, 1, D]
  return at::baddbmm(offset, x, folded);
}

PackedLinear fold_experts(const at::Tensor& experts, const at::Tensor& gate_weights, const at::Tensor& weight,
                          const at::Tensor& bias) {
  const auto index = experts.clamp_min(0);  // empty slots weigh 0
  const auto chosen = weight.index_select(0, index).to(at::kFloat);  // [k, D, D]
  auto folded = chosen[0] * gate_weights[0];
  auto offset = bias.index_select(0, index).to(at::kFloat).mul(gate_weights.unsqueeze(1)).sum(0).add(1.0);
  for (int64_t slot = 1; slot < experts.size(0); ++slot) folded.addcmul_(chosen[slot], gate_weights[slot]);
  return {folded.t().to(weight.scalar_type()).contiguous(), offset.to(weight.scalar_type())};
}

namespace {

MaskSplit split_by_mask_cuda(const cuda::Backend& kernels, const at::Tensor& x, const at::Tensor& m) {
  const c10::DeviceGuard on(x.device());
  const auto rows = as_rows(x), mask_rows = as_rows(m);
  MaskSplit split{at::empty(x.sizes(), x.options()), at::empty(x.sizes(), x.options())};
  kernels.split_by_mask({.dtype = cuda_dtype(x),
                         .rows = rows.size(0),
                         .rows_per_mask = m.size(1) == 1 ? x.size(1) : 1,
                         .width = static_cast<int>(x.size(2)),
                         .x = rows.const_data_ptr(),
                         .mask = mask_rows.const_data_ptr(),
                         .x_stride = rows.stride(0),
                         .mask_stride = mask_rows.stride(0),
                         .task = split.task.mutable_data_ptr(),
                         .shared = split.shared.mutable_data_ptr(),
                         .task_stride = x.size(2),
                         .shared_stride = x.size(2)},
                        current_stream(x));
  return split;
}

}  // namespace

MaskSplit split_by_mask(const at::Tensor& x, const at::Tensor& m) {
  TORCH_CHECK(x.dim() == 3 && m.dim() == 3 && m.size(0) == x.size(0) &&
                  (m.size(1) == 1 || m.size(1) == x.size(1)) && m.size(2) == x.size(2),
              "split_by_mask: expected x [N, T, D] and m [N, T or 1, D], got ", x.sizes(), " and ",
              m.sizes());
  if (const auto* kernels = cuda_kernels({x, m})) return split_by_mask_cuda(*kernels, x, m);
  auto task = x * m;
  auto shared = x - task;
  return {std::move(task), std::move(shared)};
}

}  // namespace switchyard::kernels

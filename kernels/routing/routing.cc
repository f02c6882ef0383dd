#include "kernels/routing/routing.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "kernels/on_device.h"

namespace switchyard::kernels {
namespace {

at::Tensor top_k_cpu(const at::Tensor& probabilities, int64_t k) {
  const auto rows = probabilities.detach().contiguous();
  const int64_t tokens = rows.size(0), experts = rows.size(1);
  auto chosen = at::empty({tokens, k}, rows.options().dtype(at::kLong));
  const float* p = rows.const_data_ptr<float>();
  int64_t* out = chosen.mutable_data_ptr<int64_t>();
  at::parallel_for(0, tokens, 512, [&](int64_t first, int64_t last) {
    std::vector<float> left(experts);
    for (int64_t token = first; token < last; ++token) {
      std::copy_n(p + token * experts, experts, left.begin());
      for (int64_t slot = 0; slot < k; ++slot) {
        const auto best = std::max_element(left.begin(), left.end());
        out[token * k + slot] = best - left.begin();
        *best = -std::numeric_limits<float>::infinity();
      }
    }
  });
  return chosen;
}

// The first row of each expert when each gets whole tiles, and the number of rows in all.
std::vector<int64_t> tile_starts(const std::vector<int64_t>& counts) {
  std::vector<int64_t> begin{0};
  for (const int64_t count : counts)
    begin.push_back(begin.back() + (count + kRowTile - 1) / kRowTile * kRowTile);
  return begin;
}

ExpertOrder order_cpu(const at::Tensor& experts, int64_t num_experts) {
  const auto chosen = experts.contiguous();
  const int64_t rows = chosen.numel(), k = chosen.size(1);
  const int64_t* expert = chosen.const_data_ptr<int64_t>();

  std::vector<int64_t> counts(num_experts);
  for (int64_t row = 0; row < rows; ++row) ++counts[expert[row]];
  ExpertOrder order{{}, at::empty({rows}, chosen.options()), tile_starts(counts)};
  order.token = at::zeros({order.begin.back()}, chosen.options());

  auto next = order.begin;
  int64_t* token = order.token.mutable_data_ptr<int64_t>();
  int64_t* position = order.position.mutable_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t sorted = next[expert[row]]++;
    token[sorted] = row / k;
    position[row] = sorted;
  }
  return order;
}

// Of x [T, D] with a gate [E, D]; without one, x are the logits.
Routing route_cuda(const cuda::Backend& kernels, const at::Tensor& x, const at::Tensor& gate, int64_t k) {
  const c10::DeviceGuard on(x.device());
  const auto rows = as_rows(x), gate_rows = gate.defined() ? as_rows(gate) : gate;
  const int64_t tokens = rows.size(0), num_experts = gate.defined() ? gate.size(0) : x.size(1);
  auto probabilities = at::empty({tokens, num_experts}, rows.options().dtype(at::kFloat));
  auto gate_weights = at::empty({tokens, k}, probabilities.options());
  auto chosen = at::empty({tokens, k}, rows.options().dtype(at::kInt));
  auto counts = at::empty({num_experts}, chosen.options());
  kernels.route({.dtype = cuda_dtype(rows),
                 .tokens = tokens,
                 .width = static_cast<int>(rows.size(1)),
                 .experts = static_cast<int>(num_experts),
                 .k = static_cast<int>(k),
                 .x = rows.const_data_ptr(),
                 .x_stride = rows.stride(0),
                 .gate = gate.defined() ? gate_rows.const_data_ptr() : nullptr,
                 .gate_stride = gate.defined() ? gate_rows.stride(0) : 0,
                 .probabilities = probabilities.mutable_data_ptr<float>(),
                 .chosen = chosen.mutable_data_ptr<int32_t>(),
                 .gate_weights = gate_weights.mutable_data_ptr<float>(),
                 .counts = counts.mutable_data_ptr<int32_t>()},
                current_stream(rows));
  return {std::move(probabilities), chosen.to(at::kLong), std::move(gate_weights)};
}

// The CUDA kernels, or null where their router does not take these operands.
const cuda::Backend* route_kernel(std::initializer_list<at::Tensor> operands, int64_t num_experts,
                                  int64_t k) {
  if (num_experts > cuda::kMaxExperts || k > cuda::kMaxExpertsPerToken) return nullptr;
  return cuda_kernels(operands);
}

// [T, k], in falling order of their probabilities, the lower index first among equal ones; no gradients.
at::Tensor chosen_experts(const at::Tensor& logits, const at::Tensor& probabilities, int64_t k) {
  if (logits.device().is_cpu()) return top_k_cpu(probabilities, k);
  if (const auto* kernels = route_kernel({logits}, logits.size(1), k))
    return route_cuda(*kernels, logits, {}, k).experts;
  return std::get<1>(at::sort(probabilities, /*stable=*/true, -1, /*descending=*/true)).narrow(1, 0, k);
}

// Nothing where the CUDA kernel does not take these operands.
std::optional<Routing> route_in_one_kernel(const at::Tensor& x, const at::Tensor& gate, int64_t k) {
  TORCH_CHECK(x.dim() == 2 && gate.dim() == 2 && x.size(1) == gate.size(1) && k >= 1 && k <= gate.size(0),
              "route_tokens: expected x [T, D], gate [E, D] and 1 <= k <= E, got ", x.sizes(), ", ",
              gate.sizes(), " and k = ", k);
  if (const auto* kernels = route_kernel({x, gate}, gate.size(0), k)) return route_cuda(*kernels, x, gate, k);
  return std::nullopt;
}

}  // namespace

Routing route_tokens(const at::Tensor& x, const at::Tensor& gate, int64_t k) {
  if (auto routing = route_in_one_kernel(x, gate, k)) return *std::move(routing);
  return route_top_k(linear_reference(x.to(at::kFloat), gate.to(at::kFloat), {}), k);
}

PackedGate::PackedGate(const at::Tensor& gate) : gate_(gate.detach()), packed_(gate.to(at::kFloat), {}) {}

Routing PackedGate::operator()(const at::Tensor& x, int64_t k) const {
  if (auto routing = route_in_one_kernel(x, gate_, k)) return *std::move(routing);
  return route_top_k(packed_(x.to(at::kFloat)), k);
}

Routing route_top_k(const at::Tensor& logits, int64_t k) {
  TORCH_CHECK(logits.dim() == 2 && k >= 1 && k <= logits.size(1),
              "route_top_k: expected logits [T, E] and 1 <= k <= E, got ", logits.sizes(), " and k = ", k);
  if (const auto* kernels = route_kernel({logits}, logits.size(1), k))
    return route_cuda(*kernels, logits, {}, k);
  auto probabilities = at::softmax(logits, -1, at::kFloat);
  auto experts = chosen_experts(logits.detach(), probabilities.detach(), k);
  auto gate_weights = probabilities.gather(1, experts);
  return {std::move(probabilities), std::move(experts), std::move(gate_weights)};
}

ExpertOrder order_by_expert(const at::Tensor& experts, int64_t num_experts) {
  if (experts.device().is_cpu()) return order_cpu(experts, num_experts);
  // The sizes of the experts' matrices are needed on the host: one synchronisation per layer.
  auto order = order_cpu(experts.cpu(), num_experts);
  order.token = order.token.to(experts.device());
  order.position = order.position.to(experts.device());
  return order;
}

at::Tensor expert_choices(const Routing& routing) {
  // Not bincount: on a GPU it waits to learn its size. Nor scatter_add: there all additions meet in E places.
  const auto expert = at::arange(routing.probabilities.size(1), routing.experts.options());
  return routing.experts.reshape({-1, 1}).eq(expert).sum(0);
}

at::Tensor balance_loss(const Routing& routing, const at::Tensor& choices) {
  const int64_t num_experts = routing.probabilities.size(1);
  const auto share = choices.to(at::kFloat) / static_cast<double>(routing.experts.numel());
  return (share * routing.probabilities.mean(0)).sum() * static_cast<double>(num_experts);
}

}  // namespace switchyard::kernels

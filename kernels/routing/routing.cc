#include "kernels/routing/routing.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "kernels/on_device.h"

namespace switchyard::kernels {
namespace {

// What is added or multiplied to p [T, E] of `images` images, as [T, E]; undefined stays undefined.
at::Tensor for_every_token(const at::Tensor& control, const at::Tensor& p, int64_t images) {
  if (!control.defined()) return control;
  TORCH_CHECK(images >= 1 && p.size(0) % images == 0 && control.dim() == 3 && control.size(2) == p.size(1) &&
                  (control.size(0) == 1 || control.size(0) == images) &&
                  (control.size(1) == 1 || control.size(1) == p.size(0) / images),
              "selection: expected [N or 1, T or 1, E] for ", p.sizes(), " probabilities of ", images,
              " images, got ", control.sizes());
  return control.expand({images, p.size(0) / images, p.size(1)}).reshape(p.sizes());
}

// keys [T, E] fp32 -> [T, k] int64. NaN comes after every number, and before what is muted.
at::Tensor top_k_cpu(const at::Tensor& keys, int64_t k) {
  const auto rows = keys.detach().contiguous();
  const int64_t tokens = rows.size(0), experts = rows.size(1);
  auto chosen = at::empty({tokens, k}, rows.options().dtype(at::kLong));
  const float* key = rows.const_data_ptr<float>();
  int64_t* out = chosen.mutable_data_ptr<int64_t>();
  at::parallel_for(0, tokens, 512, [&](int64_t first, int64_t last) {
    std::vector<float> left(experts);
    for (int64_t token = first; token < last; ++token) {
      std::transform(key + token * experts, key + (token + 1) * experts, left.begin(),
                     [](float x) { return std::isnan(x) ? std::numeric_limits<float>::lowest() : x; });
      for (int64_t slot = 0; slot < k; ++slot) {
        const auto best = std::max_element(left.begin(), left.end());
        out[token * k + slot] = *best == kMuted ? kEmptySlot : best - left.begin();
        *best = kMuted;
      }
    }
  });
  return chosen;
}

// The gate weights of chosen experts [T, S]: their p, scaled; 0 in empty slots.
at::Tensor weights_of(const at::Tensor& probabilities, const at::Tensor& experts, const at::Tensor& scale) {
  const auto index = experts.clamp_min(0);
  auto weights = probabilities.gather(1, index);
  if (scale.defined()) weights = weights * scale.gather(1, index);
  return weights.masked_fill(experts.eq(kEmptySlot), 0.0);
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
  for (int64_t row = 0; row < rows; ++row) {
    if (expert[row] != kEmptySlot) ++counts[expert[row]];
  }
  ExpertOrder order{{}, at::empty({rows}, chosen.options()), tile_starts(counts)};
  order.token = at::zeros({order.begin.back()}, chosen.options());

  auto next = order.begin;
  int64_t* token = order.token.mutable_data_ptr<int64_t>();
  int64_t* position = order.position.mutable_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    position[row] = kEmptySlot;
    if (expert[row] == kEmptySlot) continue;
    const int64_t sorted = next[expert[row]]++;
    token[sorted] = row / k;
    position[row] = sorted;
  }
  return order;
}

// The strides by which a kernel walks over [N or 1, T or 1, E].
cuda::Control control_of(const at::Tensor& control) {
  if (!control.defined()) return {};
  TORCH_CHECK(control.stride(2) == 1 || control.size(2) == 1, "selection: experts have to be neighbours in memory");
  return {.values = control.const_data_ptr<float>(),
          .image_stride = control.size(0) == 1 ? 0 : control.stride(0),
          .token_stride = control.size(1) == 1 ? 0 : control.stride(1)};
}

// Of x [T, D] with a gate [E, D]; without one, x are the logits.
Routing route_cuda(const cuda::Backend& kernels, const at::Tensor& x, const at::Tensor& gate, int64_t k,
                   const Selection& selection, int64_t images) {
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
                 .tokens_per_image = tokens / images,
                 .bias = control_of(selection.bias),
                 .scale = control_of(selection.scale),
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

// [T, k] of keys [T, E], by falling key, the lower index first among equal ones; no gradients.
at::Tensor chosen_experts(const at::Tensor& keys, int64_t k) {
  if (keys.device().is_cpu()) return top_k_cpu(keys, k);
  const auto sorted = at::sort(keys, /*stable=*/true, -1, /*descending=*/true);
  const auto best = std::get<0>(sorted).narrow(1, 0, k);
  return std::get<1>(sorted).narrow(1, 0, k).masked_fill(best.eq(kMuted), kEmptySlot);
}

// Nothing where the CUDA kernel does not take these operands.
std::optional<Routing> route_in_one_kernel(const at::Tensor& x, const at::Tensor& gate, int64_t k,
                                           const Selection& selection, int64_t images) {
  TORCH_CHECK(x.dim() == 2 && gate.dim() == 2 && x.size(1) == gate.size(1) && k >= 1 && k <= gate.size(0),
              "route_tokens: expected x [T, D], gate [E, D] and 1 <= k <= E, got ", x.sizes(), ", ",
              gate.sizes(), " and k = ", k);
  if (const auto* kernels = route_kernel({x, gate}, gate.size(0), k))
    return route_cuda(*kernels, x, gate, k, selection, images);
  return std::nullopt;
}

at::Tensor plus(const at::Tensor& probabilities, const at::Tensor& bias, int64_t images) {
  const auto p = probabilities.detach();
  return bias.defined() ? p + for_every_token(bias, p, images) : p;
}

}  // namespace

at::Tensor gate_probabilities(const at::Tensor& x, const at::Tensor& gate) {
  return at::softmax(linear_reference(x.to(at::kFloat), gate.to(at::kFloat), {}), -1);
}

Routing route_tokens(const at::Tensor& x, const at::Tensor& gate, int64_t k, const Selection& selection,
                     int64_t images) {
  if (auto routing = route_in_one_kernel(x, gate, k, selection, images)) return *std::move(routing);
  return select_top_k(gate_probabilities(x, gate), k, selection, images);
}

PackedGate::PackedGate(const at::Tensor& gate) : gate_(gate.detach()), packed_(gate.to(at::kFloat), {}) {}

at::Tensor PackedGate::probabilities(const at::Tensor& x) const {
  return at::softmax(packed_(x.to(at::kFloat)), -1);
}

Routing PackedGate::operator()(const at::Tensor& x, int64_t k, const Selection& selection,
                               int64_t images) const {
  if (auto routing = route_in_one_kernel(x, gate_, k, selection, images)) return *std::move(routing);
  return select_top_k(probabilities(x), k, selection, images);
}

Routing route_top_k(const at::Tensor& logits, int64_t k, const Selection& selection, int64_t images) {
  TORCH_CHECK(logits.dim() == 2 && k >= 1 && k <= logits.size(1),
              "route_top_k: expected logits [T, E] and 1 <= k <= E, got ", logits.sizes(), " and k = ", k);
  if (const auto* kernels = route_kernel({logits}, logits.size(1), k))
    return route_cuda(*kernels, logits, {}, k, selection, images);
  return select_top_k(at::softmax(logits, -1, at::kFloat), k, selection, images);
}

Routing select_top_k(const at::Tensor& probabilities, int64_t k, const Selection& selection, int64_t images) {
  TORCH_CHECK(probabilities.dim() == 2 && k >= 1 && k <= probabilities.size(1),
              "select_top_k: expected probabilities [T, E] and 1 <= k <= E, got ", probabilities.sizes(),
              " and k = ", k);
  auto experts = chosen_experts(plus(probabilities, selection.bias, images), k);
  auto weights = selection.defined() ? weights_of(probabilities, experts,
                                                  for_every_token(selection.scale, probabilities, images))
                                     : probabilities.gather(1, experts);
  return {probabilities, std::move(experts), std::move(weights)};
}

Routing select_by_experts(const at::Tensor& probabilities, int64_t capacity, const Selection& selection,
                          int64_t images) {
  const int64_t tokens = probabilities.size(0) / std::max<int64_t>(1, images), experts = probabilities.size(1);
  TORCH_CHECK(probabilities.dim() == 2 && images >= 1 && probabilities.size(0) == images * tokens &&
                  capacity >= 1 && capacity <= tokens,
              "select_by_experts: expected probabilities [T, E] of whole images and 1 <= capacity <= T / images, "
              "got ", probabilities.sizes(), ", ", images, " images and a capacity of ", capacity);
  const auto keys = plus(probabilities, selection.bias, images).view({images, tokens, experts});
  const auto order = std::get<1>(at::sort(keys, /*stable=*/true, /*dim=*/1, /*descending=*/true));
  const auto taken = at::zeros(keys.sizes(), keys.options().dtype(at::kBool))
                         .scatter(1, order.narrow(1, 0, capacity), true)
                         .logical_and(keys.ne(kMuted))
                         .view(probabilities.sizes());
  auto chosen = at::where(taken, at::arange(experts, order.options()), kEmptySlot);  // slot e is expert e
  auto weights = probabilities * taken;
  if (selection.scale.defined()) weights = weights * for_every_token(selection.scale, probabilities, images);
  return {probabilities, std::move(chosen), std::move(weights), images * experts * capacity};
}

void write_gate_weights(const Routing& routing, const at::Tensor& out) {
  auto rows = out.flatten(0, 1);  // [T, E]
  TORCH_CHECK(rows.size(0) == routing.experts.size(0) && rows.stride(1) == 1 && rows.data_ptr() == out.data_ptr(),
              "write_gate_weights: ", out.sizes(), " has no room for the routing of ", routing.experts.size(0),
              " tokens");
  const auto weights = routing.gate_weights.detach();
  if (!rows.device().is_cpu()) {  // every slot has a place of its own; empty ones add 0 to the first
    rows.zero_().scatter_add_(1, routing.experts.clamp_min(0), weights.to(at::kFloat));
    return;
  }
  const auto chosen = routing.experts.contiguous(), weight = weights.contiguous();
  const int64_t slots = chosen.size(1), experts = rows.size(1), stride = rows.stride(0);
  const int64_t* expert = chosen.const_data_ptr<int64_t>();
  const float* w = weight.const_data_ptr<float>();
  float* row = rows.mutable_data_ptr<float>();
  for (int64_t token = 0; token < rows.size(0); ++token, row += stride, expert += slots, w += slots) {
    std::fill_n(row, experts, 0.0f);
    for (int64_t slot = 0; slot < slots; ++slot) {
      if (expert[slot] != kEmptySlot) row[expert[slot]] = w[slot];
    }
  }
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
  // The number of choices is known beforehand unless slots may be empty.
  const auto share = routing.rows < 0 ? choices.to(at::kFloat) / static_cast<double>(routing.experts.numel())
                                      : choices.to(at::kFloat) / choices.sum().clamp_min(1);
  return (share * routing.probabilities.mean(0)).sum() * static_cast<double>(num_experts);
}

}  // namespace switchyard::kernels

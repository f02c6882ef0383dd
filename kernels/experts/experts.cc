#include "kernels/experts/experts.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/experts/experts_forms.h"
#include "kernels/on_device.h"
#include "kernels/rows/rows.h"

namespace switchyard::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class Activation : public torch::autograd::Function<Activation> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    context->save_for_backward({gate_up});
    return activation(gate_up);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {activation_backward(context->get_saved_variables()[0], gradients[0].contiguous())};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& x, const at::Tensor& gate_up, const at::Tensor& down) {
  const auto gu = at::linear(x, gate_up);
  const bool gradient = at::GradMode::is_enabled() && gu.requires_grad();
  return at::linear(gradient && has_row_loops(gu) ? Activation::apply(gu) : activation(gu), down);
}

at::Tensor routed_experts_reference(const at::Tensor& x, const Routing& routing, const at::Tensor& gate_up,
                                    const at::Tensor& down) {
  auto y = at::zeros_like(x);
  for (int64_t e = 0; e < gate_up.size(0); ++e) {
    const auto weight =
        (routing.gate_weights * (routing.experts == e)).sum(1, /*keepdim=*/true);  // [T, 1], 0 if not chosen
    y = y + weight.to(x.scalar_type()) * swiglu(x, gate_up[e], down[e]);
  }
  return y;
}

at::Tensor routed_experts(const at::Tensor& x, const Routing& routing, const at::Tensor& gate_up,
                          const at::Tensor& down) {
  // Detached: a gradient that is wanted rules out most kernels, but not these.
  if (const auto* kernels = cuda_kernels({x.detach(), gate_up.detach(), down.detach()})) {
    const auto rows = as_rows(x);
    if (suits_grouped_kernels(rows, gate_up, down))
      return routed_experts_cuda(*kernels, rows, routing, gate_up, down);
  }
  return routed_experts_sorted(x, routing, gate_up, down);
}

PackedSwiGlu::PackedSwiGlu(const at::Tensor& gate_up, const at::Tensor& down, Packing packing) {
  if (packing.products == Products::int8) {
    int8_ = Int8SwiGlu(gate_up, down);
    return;
  }
  const int64_t hidden = gate_up.size(0) / 2;
  gate_ = PackedLinear(gate_up.narrow(0, 0, hidden), {}, packing);
  up_ = PackedLinear(gate_up.narrow(0, hidden, hidden), {}, packing);
  down_ = PackedLinear(down, {}, packing);
}

at::Tensor PackedSwiGlu::operator()(const at::Tensor& x) const {
  return int8_.defined() ? int8_(x) : down_(up_.times(x, gate_.swish(x)));
}

PackedExperts::PackedExperts(const at::Tensor& gate_up, const at::Tensor& down, Packing packing) {
  if (gate_up.device().is_cuda()) {
    gate_up_ = gate_up.detach().contiguous();
    down_ = down.detach().contiguous();
  }
  for (int64_t e = 0; e < gate_up.size(0); ++e) experts_.emplace_back(gate_up[e], down[e], packing);
}

at::Tensor PackedExperts::operator()(const at::Tensor& x, const Routing& routing) const {
  if (gate_up_.defined()) {
    const auto rows = as_rows(x);
    if (const auto* kernels = cuda_kernels({rows, gate_up_, down_});
        kernels && suits_grouped_kernels(rows, gate_up_, down_))
      return routed_experts_cuda(*kernels, rows, routing, gate_up_, down_);
  }
  const auto order = order_by_expert(routing.experts, static_cast<int64_t>(experts_.size()));
  const auto x_sorted = x.index_select(0, order.token);
  auto y_sorted = at::empty_like(x_sorted);
  for_each_expert(order.begin, [&](int64_t e, int64_t first, int64_t last) {
    y_sorted.slice(0, first, last).copy_(experts_[e](x_sorted.slice(0, first, last)));
  });
  return weighted_combine(y_sorted, order.position, routing.gate_weights);
}

}  // namespace switchyard::kernels

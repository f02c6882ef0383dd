// The routed experts as one product per expert, with the gradient written out. The host learns how many rows
// each expert has; on a GPU that costs one synchronisation per layer.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/experts/experts_forms.h"

namespace switchyard::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class RoutedExperts : public torch::autograd::Function<RoutedExperts> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& experts,
                            const at::Tensor& weights, const at::Tensor& gate_up, const at::Tensor& down) {
    const auto order = order_by_expert(experts, gate_up.size(0));
    const auto x_sorted = x.index_select(0, order.token);                   // [R, D]
    auto gu = at::empty({x_sorted.size(0), gate_up.size(1)}, x.options());  // [R, 2H]
    auto y_sorted = at::empty_like(x_sorted);                               // [R, D]
    for_each_expert(order.begin, [&](int64_t e, int64_t first, int64_t last) {
      auto rows = gu.slice(0, first, last);
      at::mm_out(rows, x_sorted.slice(0, first, last), gate_up[e].t());
    });
    const auto h = activation(gu);  // [R, H]
    for_each_expert(order.begin, [&](int64_t e, int64_t first, int64_t last) {
      auto rows = y_sorted.slice(0, first, last);
      at::mm_out(rows, h.slice(0, first, last), down[e].t());
    });
    context->save_for_backward(
        {x_sorted, gu, h, y_sorted, weights, gate_up, down, order.token, order.position});
    context->saved_data["begin"] = order.begin;
    return weighted_combine(y_sorted, order.position, weights);
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const auto saved = context->get_saved_variables();
    const auto &x_sorted = saved[0], &gu = saved[1], &h = saved[2], &y_sorted = saved[3], &weights = saved[4];
    const auto &gate_up = saved[5], &down = saved[6], &token = saved[7], &position = saved[8];
    const auto begin = context->saved_data["begin"].toIntVector();
    const auto [dy, d_weights] = combine_backward(y_sorted, position, token, weights, grads[0]);

    auto dh = at::empty_like(h);
    auto d_down = at::empty_like(down);
    auto d_gate_up = at::empty_like(gate_up);
    for (size_t e = 0; e + 1 < begin.size(); ++e) {  // an expert without tokens gets a gradient of zero
      if (begin[e + 1] > begin[e]) continue;
      d_down[e].zero_();
      d_gate_up[e].zero_();
    }
    for_each_expert(begin, [&](int64_t e, int64_t first, int64_t last) {
      const auto rows = dy.slice(0, first, last);
      auto dh_rows = dh.slice(0, first, last), d_down_e = d_down[e];
      at::mm_out(dh_rows, rows, down[e]);
      at::mm_out(d_down_e, rows.t(), h.slice(0, first, last));
    });

    const auto d_gu = activation_backward(gu, dh);
    auto dx_sorted = at::empty_like(x_sorted);
    for_each_expert(begin, [&](int64_t e, int64_t first, int64_t last) {
      const auto rows = d_gu.slice(0, first, last);
      auto dx_rows = dx_sorted.slice(0, first, last), d_gate_up_e = d_gate_up[e];
      at::mm_out(dx_rows, rows, gate_up[e]);
      at::mm_out(d_gate_up_e, rows.t(), x_sorted.slice(0, first, last));
    });
    const auto dx = weighted_combine(dx_sorted, position, at::ones_like(weights));
    return {dx, {}, d_weights, d_gate_up, d_down};
  }
};

}  // namespace

at::Tensor routed_experts_sorted(const at::Tensor& x, const Routing& routing, const at::Tensor& gate_up,
                                 const at::Tensor& down) {
  return RoutedExperts::apply(x, routing.experts, routing.gate_weights, gate_up, down);
}

}  // namespace switchyard::kernels

#include "kernels/experts.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/on_device.h"
#include "kernels/rows.h"

namespace switchyard::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::pair<at::Tensor, at::Tensor> halves(const at::Tensor& gate_up) {  // [..., 2H] -> two [..., H]
  const int64_t hidden = gate_up.size(-1) / 2;
  return {gate_up.narrow(-1, 0, hidden), gate_up.narrow(-1, hidden, hidden)};
}

// rows [R, D] in sorted order, weights [T, k] -> [T, D]: each token sums its rows in slot order.
at::Tensor weighted_combine(const at::Tensor& rows, const at::Tensor& position, const at::Tensor& weights) {
  const int64_t tokens = weights.size(0), k = weights.size(1);
  if (has_row_loops(rows)) {
    const auto w = weights.contiguous();
    auto sum = at::empty({tokens, rows.size(1)}, rows.options());
    with_storage_type(rows, [&]<class T>(T) {
      share_rows(tokens, k * rows.size(1), [&](int64_t first, int64_t last) {
        row_loops<T>().combine(rows_of<T>(rows), position.const_data_ptr<int64_t>() + first * k,
                               w.const_data_ptr<float>() + first * k, rows_of<T>(sum) + first * rows.size(1),
                               last - first, k, rows.size(1));
      });
    });
    return sum;
  }
  const auto by_slot = rows.index_select(0, position).view({tokens, k, rows.size(1)});  // [T, k, D]
  const auto w = weights.to(rows.scalar_type());
  auto sum = by_slot.select(1, 0) * w.narrow(1, 0, 1);
  for (int64_t slot = 1; slot < k; ++slot) sum.addcmul_(by_slot.select(1, slot), w.narrow(1, slot, 1));
  return sum;
}

// silu(gate) * up of gate_up [R, 2H], and its gradient.
at::Tensor activation(const at::Tensor& gate_up) {
  const auto [g, u] = halves(gate_up);
  if (!has_row_loops(gate_up)) return at::silu(g) * u;
  auto h = at::empty(g.sizes(), g.options());
  const int64_t hidden = g.size(-1);
  with_storage_type(gate_up, [&]<class T>(T) {
    share_rows(g.numel() / hidden, hidden, [&](int64_t first, int64_t last) {
      row_loops<T>().swiglu(rows_of<T>(gate_up) + first * 2 * hidden, rows_of<T>(h) + first * hidden,
                            last - first, hidden);
    });
  });
  return h;
}

at::Tensor activation_backward(const at::Tensor& gate_up, const at::Tensor& dh) {
  auto d_gate_up = at::empty_like(gate_up);
  const auto [g, u] = halves(gate_up);
  const int64_t hidden = g.size(-1);
  if (!has_row_loops(gate_up)) {
    auto [dg, du] = halves(d_gate_up);
    at::silu_backward_out(dg, dh * u, g);
    at::mul_out(du, dh, at::silu(g));
    return d_gate_up;
  }
  with_storage_type(gate_up, [&]<class T>(T) {
    share_rows(g.numel() / hidden, hidden, [&](int64_t first, int64_t last) {
      row_loops<T>().swiglu_backward(rows_of<T>(gate_up) + first * 2 * hidden,
                                     rows_of<T>(dh) + first * hidden,
                                     rows_of<T>(d_gate_up) + first * 2 * hidden, last - first, hidden);
    });
  });
  return d_gate_up;
}

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

// The way back through weighted_combine: {d_rows, d_weights}; rows that only fill up get zero.
std::pair<at::Tensor, at::Tensor> combine_backward(const at::Tensor& rows, const at::Tensor& position,
                                                   const at::Tensor& token, const at::Tensor& weights,
                                                   const at::Tensor& dy) {
  const int64_t tokens = weights.size(0), k = weights.size(1), width = rows.size(1);
  if (has_row_loops(rows)) {
    const auto w = weights.contiguous(), d = dy.contiguous();
    auto d_rows = at::zeros_like(rows), d_weights = at::empty_like(w);
    with_storage_type(rows, [&]<class T>(T) {
      share_rows(tokens, k * width, [&](int64_t first, int64_t last) {
        row_loops<T>().combine_backward(rows_of<T>(rows), position.const_data_ptr<int64_t>() + first * k,
                                        w.const_data_ptr<float>() + first * k, rows_of<T>(d) + first * width,
                                        rows_of<T>(d_rows), d_weights.mutable_data_ptr<float>() + first * k,
                                        last - first, k, width);
      });
    });
    return {d_rows, d_weights};
  }
  const auto dy_rows = dy.index_select(0, token);  // [R, D]
  const auto d_weights =
      (dy_rows * rows).sum(-1, false, at::kFloat).index_select(0, position).view({tokens, k});
  auto sorted_weights = at::zeros({dy_rows.size(0), 1}, dy.options());
  sorted_weights.index_copy_(0, position, weights.reshape({-1, 1}).to(dy.scalar_type()));
  return {dy_rows * sorted_weights, d_weights};
}

template <class Multiply>
void for_each_expert(const std::vector<int64_t>& begin, Multiply multiply) {
  for (size_t e = 0; e + 1 < begin.size(); ++e) {
    if (begin[e + 1] > begin[e]) multiply(static_cast<int64_t>(e), begin[e], begin[e + 1]);
  }
}

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
  return RoutedExperts::apply(x, routing.experts, routing.gate_weights, gate_up, down);
}

PackedSwiGlu::PackedSwiGlu(const at::Tensor& gate_up, const at::Tensor& down, Products products) {
  if (products == Products::int8) {
    int8_ = Int8SwiGlu(gate_up, down);
    return;
  }
  const int64_t hidden = gate_up.size(0) / 2;
  gate_ = PackedLinear(gate_up.narrow(0, 0, hidden), {});
  up_ = PackedLinear(gate_up.narrow(0, hidden, hidden), {});
  down_ = PackedLinear(down, {});
}

at::Tensor PackedSwiGlu::operator()(const at::Tensor& x) const {
  return int8_.defined() ? int8_(x) : down_(up_.times(x, gate_.swish(x)));
}

namespace {

// The grouped kernels copy 8 elements at a time.
bool suits_grouped_kernels(const at::Tensor& x, const at::Tensor& gate_up, const at::Tensor& down) {
  return x.scalar_type() == at::kBFloat16 && gate_up.size(2) % 8 == 0 && down.size(2) % 8 == 0 &&
         x.stride(0) % 8 == 0 && reinterpret_cast<uintptr_t>(x.const_data_ptr()) % 16 == 0;
}

// Sorting, both products and the sum with all sizes on the device: nothing waits for the GPU.
at::Tensor routed_experts_cuda(const cuda::Backend& kernels, const at::Tensor& x, const Routing& routing,
                               const at::Tensor& gate_up, const at::Tensor& down) {
  const c10::DeviceGuard on(x.device());
  const auto stream = current_stream(x);
  const int64_t tokens = x.size(0), k = routing.experts.size(1), rows = tokens * k;
  const int experts = static_cast<int>(gate_up.size(0)), width = static_cast<int>(x.size(1)),
            hidden = static_cast<int>(down.size(2));
  const auto chosen = routing.experts.to(at::kInt).contiguous();
  const auto weights = routing.gate_weights.to(at::kFloat).contiguous();
  const auto counts = at::empty({experts}, chosen.options()),
             begin = at::empty({experts + 1}, chosen.options());
  const auto position = at::empty({rows}, chosen.options()), token_of = at::empty({rows}, chosen.options());
  kernels.count_experts(chosen.const_data_ptr<int32_t>(), rows, experts, counts.mutable_data_ptr<int32_t>(),
                        stream);
  kernels.order_by_expert({.rows = rows,
                           .experts = experts,
                           .k = static_cast<int>(k),
                           .chosen = chosen.const_data_ptr<int32_t>(),
                           .counts = counts.const_data_ptr<int32_t>(),
                           .begin = begin.mutable_data_ptr<int32_t>(),
                           .position = position.mutable_data_ptr<int32_t>(),
                           .token_of = token_of.mutable_data_ptr<int32_t>()},
                          stream);
  const auto h = at::empty({rows, hidden}, x.options()), y_sorted = at::empty({rows, width}, x.options());
  kernels.grouped_swiglu({.rows = rows,
                          .experts = experts,
                          .in = width,
                          .out = hidden,
                          .x = x.const_data_ptr(),
                          .x_stride = x.stride(0),
                          .weight = gate_up.const_data_ptr(),
                          .begin = begin.const_data_ptr<int32_t>(),
                          .token_of = token_of.const_data_ptr<int32_t>(),
                          .y = h.mutable_data_ptr(),
                          .y_stride = hidden},
                         stream);
  kernels.grouped_linear({.rows = rows,
                          .experts = experts,
                          .in = hidden,
                          .out = width,
                          .x = h.const_data_ptr(),
                          .x_stride = hidden,
                          .weight = down.const_data_ptr(),
                          .begin = begin.const_data_ptr<int32_t>(),
                          .token_of = nullptr,
                          .y = y_sorted.mutable_data_ptr(),
                          .y_stride = width},
                         stream);
  auto y = at::empty({tokens, width}, x.options());
  kernels.combine({.dtype = cuda_dtype(x),
                   .tokens = tokens,
                   .width = width,
                   .k = static_cast<int>(k),
                   .rows = y_sorted.const_data_ptr(),
                   .rows_stride = width,
                   .position = position.const_data_ptr<int32_t>(),
                   .weights = weights.const_data_ptr<float>(),
                   .y = y.mutable_data_ptr(),
                   .y_stride = width},
                  stream);
  return y;
}

}  // namespace

PackedExperts::PackedExperts(const at::Tensor& gate_up, const at::Tensor& down, Products products) {
  if (gate_up.device().is_cuda()) {
    gate_up_ = gate_up.detach().contiguous();
    down_ = down.detach().contiguous();
  }
  for (int64_t e = 0; e < gate_up.size(0); ++e) experts_.emplace_back(gate_up[e], down[e], products);
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

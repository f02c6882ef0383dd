// The passes over rows around the experts' products: fused loops on the CPU, otherwise ATen.
#include <ATen/ATen.h>

#include "kernels/experts/experts_forms.h"
#include "kernels/rows/rows.h"

namespace switchyard::kernels {
namespace {

std::pair<at::Tensor, at::Tensor> halves(const at::Tensor& gate_up) {  // [..., 2H] -> two [..., H]
  const int64_t hidden = gate_up.size(-1) / 2;
  return {gate_up.narrow(-1, 0, hidden), gate_up.narrow(-1, hidden, hidden)};
}

}  // namespace

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
  const auto by_slot = rows.index_select(0, position.clamp_min(0)).view({tokens, k, rows.size(1)});  // [T, k, D]
  const auto w = weights.masked_fill(position.lt(0).view_as(weights), 0.0).to(rows.scalar_type());
  auto sum = by_slot.select(1, 0) * w.narrow(1, 0, 1);
  for (int64_t slot = 1; slot < k; ++slot) sum.addcmul_(by_slot.select(1, slot), w.narrow(1, slot, 1));
  return sum;
}

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
  const auto place = position.clamp_min(0), empty = position.lt(0).view({tokens, k});
  const auto d_weights = (dy_rows * rows)
                             .sum(-1, false, at::kFloat)
                             .index_select(0, place)
                             .view({tokens, k})
                             .masked_fill(empty, 0.0);
  auto sorted_weights = at::zeros({dy_rows.size(0), 1}, dy.options());  // filled slots have places of their own
  sorted_weights.index_add_(
      0, place, weights.masked_fill(empty, 0.0).reshape({-1, 1}).to(dy.scalar_type()));
  return {dy_rows * sorted_weights, d_weights};
}

}  // namespace switchyard::kernels

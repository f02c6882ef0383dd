// The routed experts on a GPU: tensors to the kernels of kernels/cuda. Sorting, products and sums, forward
// and backward, with all sizes on the device: nothing waits for the GPU.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/experts/experts_forms.h"
#include "kernels/on_device.h"

namespace switchyard::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The rows (token, slot) sorted by expert: kernels/routing/permute_kernel.h.
struct Order {
  at::Tensor begin, position, token_of;  // int32: [E + 1], [T * S], [R]
};

Order order_on_device(const cuda::Backend& kernels, const at::Tensor& experts, int64_t filled, int num_experts,
                      cuda::Stream stream) {
  const auto chosen = experts.to(at::kInt).contiguous();
  const int64_t rows = chosen.numel();
  const auto counts = at::empty({num_experts}, chosen.options());
  Order order{at::empty({num_experts + 1}, chosen.options()), at::empty({rows}, chosen.options()),
              at::empty({filled}, chosen.options())};
  kernels.count_experts(chosen.const_data_ptr<int32_t>(), rows, num_experts,
                        counts.mutable_data_ptr<int32_t>(), stream);
  kernels.order_by_expert({.rows = rows,
                           .experts = num_experts,
                           .k = static_cast<int>(experts.size(1)),
                           .chosen = chosen.const_data_ptr<int32_t>(),
                           .counts = counts.const_data_ptr<int32_t>(),
                           .begin = order.begin.mutable_data_ptr<int32_t>(),
                           .position = order.position.mutable_data_ptr<int32_t>(),
                           .token_of = order.token_of.mutable_data_ptr<int32_t>()},
                          stream);
  return order;
}

// The operands of a grouped product: x [any, in] -> y [R, out], or [R, 2 out] in the backward of SwiGLU.
cuda::GroupedMatmul product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& begin,
                            const at::Tensor& y, int64_t out) {
  return {.rows = y.size(0),
          .experts = static_cast<int>(weight.size(0)),
          .in = static_cast<int>(x.size(1)),
          .out = static_cast<int>(out),
          .x = x.const_data_ptr(),
          .x_stride = x.stride(0),
          .weight = weight.const_data_ptr(),
          .begin = begin.const_data_ptr<int32_t>(),
          .token_of = nullptr,
          .y = y.mutable_data_ptr(),
          .y_stride = y.size(1)};
}

// weights may be undefined: all are 1.
at::Tensor combined(const cuda::Backend& kernels, const at::Tensor& rows, const at::Tensor& position,
                    const at::Tensor& weights, int64_t tokens, int64_t k, cuda::Stream stream) {
  auto y = at::empty({tokens, rows.size(1)}, rows.options());
  kernels.combine({.dtype = cuda_dtype(rows),
                   .tokens = tokens,
                   .width = static_cast<int>(rows.size(1)),
                   .k = static_cast<int>(k),
                   .rows = rows.const_data_ptr(),
                   .rows_stride = rows.size(1),
                   .position = position.const_data_ptr<int32_t>(),
                   .weights = weights.defined() ? weights.const_data_ptr<float>() : nullptr,
                   .y = y.mutable_data_ptr(),
                   .y_stride = y.size(1)},
                  stream);
  return y;
}

struct Forward {
  Order order;
  at::Tensor weights;       // [T, k] fp32
  at::Tensor gate_up_rows;  // [R, 2H]; undefined unless kept
  at::Tensor h, y_rows;     // [R, H], [R, D]
  at::Tensor y;             // [T, D]
};

Forward forward_on_device(const cuda::Backend& kernels, const at::Tensor& x, const at::Tensor& experts,
                          const at::Tensor& gate_weights, int64_t rows, const at::Tensor& gate_up,
                          const at::Tensor& down, bool keeps) {
  const c10::DeviceGuard on(x.device());
  const auto stream = current_stream(x);
  const int64_t tokens = x.size(0), k = experts.size(1), hidden = down.size(2);
  Forward f{.order = order_on_device(kernels, experts, rows, static_cast<int>(gate_up.size(0)), stream),
            .weights = gate_weights.to(at::kFloat).contiguous(),
            .gate_up_rows = keeps ? at::empty({rows, 2 * hidden}, x.options()) : at::Tensor(),
            .h = at::empty({rows, hidden}, x.options()),
            .y_rows = at::empty({rows, x.size(1)}, x.options()),
            .y = {}};
  auto swiglu_of_rows = product(x, gate_up, f.order.begin, f.h, hidden);
  swiglu_of_rows.token_of = f.order.token_of.const_data_ptr<int32_t>();
  if (keeps) {
    swiglu_of_rows.gate_up = f.gate_up_rows.mutable_data_ptr();
    swiglu_of_rows.gate_up_stride = 2 * hidden;
  }
  kernels.grouped_swiglu(swiglu_of_rows, stream);
  kernels.grouped_linear(product(f.h, down, f.order.begin, f.y_rows, x.size(1)), stream);
  f.y = combined(kernels, f.y_rows, f.order.position, f.weights, tokens, k, stream);
  return f;
}

// dw_e = dy_e^T x_e, in the shape of `weight`; rows of x are gathered by token_of where it is defined.
at::Tensor weight_gradient(const cuda::Backend& kernels, const at::Tensor& dy, const at::Tensor& x,
                           const at::Tensor& begin, const at::Tensor& token_of, const at::Tensor& weight,
                           cuda::Stream stream) {
  auto dw = at::empty(weight.sizes(), weight.options());
  kernels.grouped_gradient({.experts = static_cast<int>(weight.size(0)),
                            .in = static_cast<int>(x.size(1)),
                            .out = static_cast<int>(dy.size(1)),
                            .dy = dy.const_data_ptr(),
                            .dy_stride = dy.size(1),
                            .x = x.const_data_ptr(),
                            .x_stride = x.stride(0),
                            .begin = begin.const_data_ptr<int32_t>(),
                            .token_of = token_of.defined() ? token_of.const_data_ptr<int32_t>() : nullptr,
                            .dw = dw.mutable_data_ptr()},
                           stream);
  return dw;
}

class GroupedExperts : public torch::autograd::Function<GroupedExperts> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& experts,
                            const at::Tensor& gate_weights, int64_t rows, const at::Tensor& gate_up,
                            const at::Tensor& down, const cuda::Backend* kernels) {
    const auto f = forward_on_device(*kernels, x, experts, gate_weights, rows, gate_up, down, /*keeps=*/true);
    context->save_for_backward({x, gate_up, down, f.order.begin, f.order.position, f.order.token_of,
                                f.weights, f.gate_up_rows, f.h, f.y_rows});
    context->saved_data["kernels"] = reinterpret_cast<int64_t>(kernels);  // a table that lives forever
    return f.y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    TORCH_CHECK(!at::GradMode::is_enabled(), "routed_experts: there is no second derivative on a GPU");
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &gate_up = saved[1], &down = saved[2], &begin = saved[3], &position = saved[4];
    const auto &token_of = saved[5], &weights = saved[6], &gate_up_rows = saved[7], &h = saved[8],
               &y_rows = saved[9];
    const auto& kernels = *reinterpret_cast<const cuda::Backend*>(context->saved_data["kernels"].toInt());
    const c10::DeviceGuard on(x.device());
    const auto stream = current_stream(x);
    const auto dy = as_rows(gradients[0]);
    const int64_t tokens = weights.size(0), k = weights.size(1), width = x.size(1), hidden = h.size(1);

    const auto d_y_rows = at::empty_like(y_rows), d_weights = at::empty_like(weights);
    kernels.combine_backward({.dtype = cuda_dtype(dy),
                              .tokens = tokens,
                              .width = static_cast<int>(width),
                              .k = static_cast<int>(k),
                              .rows = y_rows.const_data_ptr(),
                              .rows_stride = width,
                              .position = position.const_data_ptr<int32_t>(),
                              .weights = weights.const_data_ptr<float>(),
                              .dy = dy.const_data_ptr(),
                              .dy_stride = dy.stride(0),
                              .d_rows = d_y_rows.mutable_data_ptr(),
                              .d_rows_stride = width,
                              .d_weights = d_weights.mutable_data_ptr<float>()},
                             stream);
    const auto d_gate_up_rows = at::empty_like(gate_up_rows);
    auto through_activation = product(d_y_rows, down, begin, d_gate_up_rows, hidden);
    through_activation.gate_up = gate_up_rows.mutable_data_ptr();
    through_activation.gate_up_stride = 2 * hidden;
    kernels.grouped_swiglu_backward(through_activation, stream);
    const auto d_x_rows = at::empty_like(y_rows);
    kernels.grouped_linear_backward(product(d_gate_up_rows, gate_up, begin, d_x_rows, width), stream);

    return {combined(kernels, d_x_rows, position, {}, tokens, k, stream),
            {},
            d_weights,
            {},
            weight_gradient(kernels, d_gate_up_rows, x, begin, token_of, gate_up, stream),
            weight_gradient(kernels, d_y_rows, h, begin, {}, down, stream),
            {}};
  }
};

bool aligned(const at::Tensor& tensor) {
  return reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 == 0;
}

}  // namespace

bool suits_grouped_kernels(const at::Tensor& x, const at::Tensor& gate_up, const at::Tensor& down) {
  return x.scalar_type() == at::kBFloat16 && gate_up.size(2) % 8 == 0 && down.size(2) % 8 == 0 &&
         x.stride(0) % 8 == 0 && gate_up.is_contiguous() && down.is_contiguous() && aligned(x) &&
         aligned(gate_up) && aligned(down);
}

at::Tensor routed_experts_cuda(const cuda::Backend& kernels, const at::Tensor& x, const Routing& routing,
                               const at::Tensor& gate_up, const at::Tensor& down) {
  const auto &experts = routing.experts, &gate_weights = routing.gate_weights;
  const int64_t rows = routing.most_rows();
  const bool gradient = at::GradMode::is_enabled() && (x.requires_grad() || gate_weights.requires_grad() ||
                                                       gate_up.requires_grad() || down.requires_grad());
  if (gradient) return GroupedExperts::apply(x, experts, gate_weights, rows, gate_up, down, &kernels);
  return forward_on_device(kernels, x, experts, gate_weights, rows, gate_up, down, /*keeps=*/false).y;
}

}  // namespace switchyard::kernels

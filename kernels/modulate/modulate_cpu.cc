// adaLN and the gated residual on the CPU: the fused passes over rows, with their gradients.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/modulate/modulate.h"
#include "kernels/modulate/modulate_forms.h"
#include "kernels/rows/rows.h"

namespace switchyard::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool needs_gradient(const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) {
  return at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad() || c.requires_grad());
}

// All contiguous; mean and rstd [N, T] fp32, or undefined where no gradient will be asked for.
at::Tensor fused_norm(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale, double eps,
                      const at::Tensor& mean, const at::Tensor& rstd) {
  auto y = at::empty_like(x);
  const int64_t tokens = x.size(1), width = x.size(2);
  with_storage_type(x, [&]<class T>(T) {
    const auto& loops = row_loops<T>();
    share_rows(x.size(0), tokens * width, [&](int64_t first, int64_t last) {
      for (int64_t n = first; n < last; ++n) {
        const int64_t image = n * tokens * width;
        loops.norm_modulate(rows_of<T>(x) + image, rows_of<T>(shift) + n * width,
                            rows_of<T>(scale) + n * width, eps, rows_of<T>(y) + image,
                            mean.defined() ? rows_of<float>(mean) + n * tokens : nullptr,
                            rstd.defined() ? rows_of<float>(rstd) + n * tokens : nullptr, tokens, width);
      }
    });
  });
  return y;
}

class ModulatedLayerNorm : public torch::autograd::Function<ModulatedLayerNorm> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& shift,
                            const at::Tensor& scale, double eps) {
    const auto mean = at::empty({x.size(0), x.size(1)}, x.options().dtype(at::kFloat)),
               rstd = at::empty_like(mean);
    context->save_for_backward({x, scale, mean, rstd});
    return fused_norm(x, shift, scale, eps, mean, rstd);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &x = saved[0], &scale = saved[1], &mean = saved[2], &rstd = saved[3];
    const auto dy = gradients[0].contiguous();
    auto dx = at::empty_like(x), d_shift = at::empty_like(scale), d_scale = at::empty_like(scale);
    const int64_t tokens = x.size(1), width = x.size(2);
    with_storage_type(x, [&]<class T>(T) {
      const auto& loops = row_loops<T>();
      share_rows(x.size(0), tokens * width, [&](int64_t first, int64_t last) {
        std::vector<float> sums(static_cast<size_t>(2 * width));
        for (int64_t n = first; n < last; ++n) {
          const int64_t image = n * tokens * width;
          loops.norm_modulate_backward(
              rows_of<T>(x) + image, rows_of<T>(scale) + n * width, rows_of<float>(mean) + n * tokens,
              rows_of<float>(rstd) + n * tokens, rows_of<T>(dy) + image, rows_of<T>(dx) + image,
              rows_of<T>(d_shift) + n * width, rows_of<T>(d_scale) + n * width, sums.data(), tokens, width);
        }
      });
    });
    return {dx, d_shift, d_scale, at::Tensor()};
  }
};

class GatedResidual : public torch::autograd::Function<GatedResidual> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& gate,
                            const at::Tensor& branch) {
    context->save_for_backward({gate, branch});
    return at::addcmul(x, gate.unsqueeze(1), branch);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto &gate = saved[0], &branch = saved[1];
    const auto dy = gradients[0].contiguous();
    auto d_branch = at::empty_like(branch), d_gate = at::empty_like(gate);
    const int64_t tokens = branch.size(1), width = branch.size(2);
    with_storage_type(branch, [&]<class T>(T) {
      const auto& loops = row_loops<T>();
      share_rows(branch.size(0), tokens * width, [&](int64_t first, int64_t last) {
        std::vector<float> sums(static_cast<size_t>(width));
        for (int64_t n = first; n < last; ++n) {
          const int64_t image = n * tokens * width;
          loops.gate_backward(rows_of<T>(branch) + image, rows_of<T>(gate) + n * width,
                              rows_of<T>(dy) + image, rows_of<T>(d_branch) + image,
                              rows_of<T>(d_gate) + n * width, sums.data(), tokens, width);
        }
      });
    });
    return {dy, d_gate, d_branch};
  }
};

}  // namespace

at::Tensor modulated_layer_norm_cpu(const at::Tensor& x, const at::Tensor& shift, const at::Tensor& scale,
                                    double eps) {
  const auto a = x.contiguous(), b = shift.contiguous(), c = scale.contiguous();
  return needs_gradient(a, b, c) ? ModulatedLayerNorm::apply(a, b, c, eps) : fused_norm(a, b, c, eps, {}, {});
}

at::Tensor gated_residual_cpu(const at::Tensor& x, const at::Tensor& gate, const at::Tensor& branch) {
  // Forward, ATen's one pass is as good.
  if (!needs_gradient(x, gate, branch)) return gated_residual_reference(x, gate, branch);
  return GatedResidual::apply(x, gate.contiguous(), branch.contiguous());
}

}  // namespace switchyard::kernels

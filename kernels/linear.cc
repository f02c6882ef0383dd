#include "kernels/linear.h"

#include <ATen/ATen.h>

#include "kernels/activation.h"
#include "kernels/library_operator.h"

namespace switchyard::kernels {
namespace {

using Reorder = at::Tensor(const at::Tensor&, std::optional<int64_t>);
using Pointwise = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                             std::string_view, c10::List<std::optional<at::Scalar>>,
                             std::optional<std::string_view>);
using PointwiseBinary = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&, std::string_view);

std::optional<at::Tensor> optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

// oneDNN picks another kernel, with another order of summation, for a single row: two equal rows avoid it.
at::Tensor at_least_two_rows(const at::Tensor& rows) {
  return rows.size(0) == 1 ? rows.expand({2, -1}) : rows;
}

at::Tensor as_rows(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

at::Tensor like_input(const at::Tensor& y, const at::Tensor& x) {
  auto shape = x.sizes().vec();
  shape.back() = y.size(-1);
  const auto rows = c10::multiply_integers(shape.begin(), shape.end() - 1);
  return y.narrow(0, 0, rows).view(shape);
}

}  // namespace

at::Tensor linear_reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::linear(x, weight, optional(bias));
}

bool has_bf16_products() { return __builtin_cpu_supports("avx512bf16"); }

bool has_products(at::ScalarType dtype, Products products) {
  if (products == Products::int8) return has_int8_products();
  return dtype != at::kBFloat16 || has_bf16_products();
}

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, Products products)
    : PackedLinear(weight, bias, products,
                   weight.device().is_cpu() && products == Products::in_dtype
                       ? product_library(weight.scalar_type())
                       : ProductLibrary::at_linear) {}

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, Products products,
                           ProductLibrary library)
    : weight_(weight.detach()), bias_(bias.defined() ? bias.detach() : bias) {
  if (products == Products::int8) {
    int8_ = Int8Linear(weight_, bias_);
  } else if (library == ProductLibrary::onednn) {
    static const auto reorder = library_operator<Reorder>("mkldnn::_reorder_linear_weight");
    weight_ = reorder.call(weight_.contiguous(), std::nullopt);
    is_packed_ = true;
  } else if (weight_.device().is_cpu()) {
    weight_ = weight_.clone();  // later changes of the weight do not reach this layer
  }
}

namespace {

at::Tensor pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     std::string_view activation, std::optional<std::string_view> algorithm = std::nullopt) {
  static const auto op = library_operator<Pointwise>("mkldnn::_linear_pointwise");
  return op.call(at_least_two_rows(x).contiguous(), weight, optional(bias), activation,
                 c10::List<std::optional<at::Scalar>>(), algorithm);
}

}  // namespace

at::Tensor PackedLinear::operator()(const at::Tensor& x) const {
  if (int8_.defined()) return int8_(x);
  if (!is_packed_) return linear_reference(x, weight_, bias_);
  return like_input(pointwise(as_rows(x), weight_, bias_, "none"), x);
}

at::Tensor PackedLinear::swish(const at::Tensor& x) const {
  if (!is_packed_) return kernels::silu((*this)(x));
  return like_input(pointwise(as_rows(x), weight_, bias_, "swish"), x);
}

at::Tensor PackedLinear::gelu(const at::Tensor& x) const {
  if (!is_packed_) return kernels::gelu((*this)(x));
  return like_input(pointwise(as_rows(x), weight_, bias_, "gelu", "tanh"), x);
}

at::Tensor PackedLinear::times(const at::Tensor& x, const at::Tensor& other) const {
  if (!is_packed_) return (*this)(x)*other;
  static const auto op = library_operator<PointwiseBinary>("mkldnn::_linear_pointwise", "binary");
  const auto y = op.call(at_least_two_rows(as_rows(x)).contiguous(),
                         at_least_two_rows(as_rows(other)).contiguous(), weight_, optional(bias_), "mul");
  return like_input(y, x);
}

}  // namespace switchyard::kernels

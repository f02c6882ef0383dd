#include "kernels/linear/int8_linear.h"

#include <ATen/ATen.h>

#include "kernels/linear/library_operator.h"
#include "kernels/linear/linear.h"
#include "kernels/rows/rows.h"

namespace switchyard::kernels {
namespace {

using Prepack = at::Tensor(at::Tensor, std::optional<c10::List<int64_t>>);
using QLinear = at::Tensor(at::Tensor, double, int64_t, at::Tensor, at::Tensor, at::Tensor,
                           std::optional<at::Tensor>, double, int64_t, std::optional<at::ScalarType>,
                           std::string_view, c10::List<std::optional<at::Scalar>>, std::string_view);

// As the values of QuantisedRows have it.
constexpr int64_t kZeroPoint = 128;

struct QuantisedWeight {
  at::Tensor values;  // [out, in] int8
  at::Tensor scales;  // [out] fp32
};

QuantisedWeight quantise_weight(const at::Tensor& weight) {
  const auto w = weight.detach().to(at::kFloat);
  const auto scales = w.abs().amax(1) / 127.0;
  const auto divisors = at::where(scales > 0, scales, at::ones_like(scales)).unsqueeze(1);
  return {(w / divisors).round().clamp(-127, 127).to(at::kChar), scales};
}

}  // namespace

bool has_int8_products() { return __builtin_cpu_supports("avx512vnni") && has_bf16_products(); }

QuantisedRows quantise_rows(const at::Tensor& x) {
  TORCH_CHECK(has_row_loops(x), "quantise_rows: expected fp32 or bf16 on the CPU, got ", x.scalar_type(),
              " on ", x.device());
  const auto rows = x.reshape({-1, x.size(-1)}).contiguous();
  QuantisedRows result{at::empty(rows.sizes(), rows.options().dtype(at::kByte)),
                       at::empty({rows.size(0)}, rows.options().dtype(at::kFloat))};
  const int64_t width = rows.size(1);
  with_storage_type(rows, [&]<class T>(T) {
    share_rows(rows.size(0), width, [&](int64_t first, int64_t last) {
      row_loops<T>().quantise(rows_of<T>(rows) + first * width,
                              rows_of<uint8_t>(result.values) + first * width,
                              rows_of<float>(result.scales) + first, last - first, width);
    });
  });
  return result;
}

at::Tensor int8_linear_reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto rows = x.reshape({-1, x.size(-1)}).to(at::kFloat);
  const auto most = std::get<0>(rows.abs().max(1, /*keepdim=*/true));
  const auto inverse = at::where(most > 0, 127.0f / most, at::zeros_like(most));
  const auto q = (rows * inverse).round().to(at::kDouble);
  const auto w = quantise_weight(weight);
  auto y = at::matmul(q, w.values.to(at::kDouble).t()) * (most / 127.0f) * w.scales;
  if (bias.defined()) y = y + bias.to(at::kDouble);
  auto shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return y.to(x.scalar_type()).view(shape);
}

Int8Linear::Int8Linear(const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(has_int8_products(), "Int8Linear: this processor has no int8 products");
  constexpr int64_t kMostInputs = 0x7fffffff / (255 * 127);  // then a sum of products fits into 32 bits
  TORCH_CHECK(weight.size(1) <= kMostInputs, "Int8Linear: expected at most ", kMostInputs, " inputs, got ",
              weight.size(1));
  static const auto prepack = library_operator<Prepack>("onednn::qlinear_prepack");
  auto quantised = quantise_weight(weight);
  // Packed for batches of a few hundred rows; others are multiplied as well.
  const c10::List<int64_t> typical_input({512, weight.size(1)});
  weight_ = prepack.call(quantised.values.contiguous(), typical_input);
  scales_ = quantised.scales.contiguous();
  zero_points_ = at::zeros({weight.size(0)}, at::kInt);
  if (bias.defined()) bias_ = bias.detach().to(at::kFloat).contiguous();
}

at::Tensor Int8Linear::product(const QuantisedRows& x) const {
  static const auto multiply = library_operator<QLinear>("onednn::qlinear_pointwise");
  if (x.values.size(0) == 0) return at::empty({0, scales_.size(0)}, scales_.options());
  return multiply.call(x.values, 1.0, kZeroPoint, weight_, scales_, zero_points_, std::nullopt, 1.0, 0,
                       at::kFloat, "none", c10::List<std::optional<at::Scalar>>(), "");
}

at::Tensor Int8Linear::scaled(const at::Tensor& product, const at::Tensor& scales,
                              at::ScalarType dtype) const {
  auto y = at::empty(product.sizes(), product.options().dtype(dtype));
  const int64_t width = product.size(1);
  with_storage_type(y, [&]<class T>(T) {
    share_rows(product.size(0), width, [&](int64_t first, int64_t last) {
      row_loops<T>().dequantise(rows_of<float>(product) + first * width, rows_of<float>(scales) + first,
                                bias_.defined() ? rows_of<float>(bias_) : nullptr,
                                rows_of<T>(y) + first * width, last - first, width);
    });
  });
  return y;
}

at::Tensor Int8Linear::operator()(const at::Tensor& x) const {
  const auto rows = quantise_rows(x);
  auto shape = x.sizes().vec();
  shape.back() = scales_.size(0);
  return scaled(product(rows), rows.scales, x.scalar_type()).view(shape);
}

Int8SwiGlu::Int8SwiGlu(const at::Tensor& gate_up, const at::Tensor& down)
    : gate_up_(gate_up, {}), down_(down, {}) {}

at::Tensor Int8SwiGlu::operator()(const at::Tensor& x) const {
  const auto rows = quantise_rows(x);
  const auto gu = gate_up_.product(rows);  // [R, 2H]
  const int64_t count = gu.size(0), hidden = gu.size(1) / 2;
  QuantisedRows h{at::empty({count, hidden}, rows.values.options()), at::empty_like(rows.scales)};
  share_rows(count, hidden, [&](int64_t first, int64_t last) {
    std::vector<float> room(hidden);
    row_loops<float>().swiglu_quantise(rows_of<float>(gu) + first * 2 * hidden,
                                       rows_of<float>(rows.scales) + first,
                                       rows_of<uint8_t>(h.values) + first * hidden,
                                       rows_of<float>(h.scales) + first, room.data(), last - first, hidden);
  });
  auto shape = x.sizes().vec();
  return down_.scaled(down_.product(h), h.scales, x.scalar_type()).view(shape);
}

}  // namespace switchyard::kernels

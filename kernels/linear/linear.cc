#include "kernels/linear/linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <vector>

#include "kernels/activation/activation.h"
#include "kernels/linear/library_operator.h"

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

// MKL sums the last rows in another order where their number is no multiple of four. (Found by comparing 1 .. 1024
// rows with AVX2, on 1 .. 16 threads, at 48 to 3072 inputs.)
at::Tensor in_fours(const at::Tensor& rows) {
  constexpr int64_t kGroup = 4;
  const int64_t missing = (kGroup - rows.size(0) % kGroup) % kGroup;
  return missing == 0 ? rows : at::constant_pad_nd(rows, {0, 0, 0, missing});
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

bool has_bf16_tiles() { return __builtin_cpu_supports("amx-bf16"); }

bool has_products(at::ScalarType dtype, Products products) {
  if (products == Products::int8) return has_int8_products();
  return dtype != at::kBFloat16 || has_bf16_products();
}

namespace {

// oneDNN cuts some sums up as the numbers of rows and threads suggest, and the last bits follow. They are cut up
// here instead, whatever the rows, into sums that it leaves whole. Found by comparing 1 .. 3000 rows, on 1 .. 64 threads, at
// inputs in steps of 8 or 16 and 8 to 1152 outputs:
//
//   fp32                  384 inputs, from 8 threads on
//   bf16 with AMX tiles   more than 384 inputs; of fewer, 168, 240 and 360, which do not fill whole tiles
//
// AVX512-BF16 sums in one order whatever the rows. (An fp32 layer of 384 inputs thus has other last bits on eight threads
// than on seven.)
std::vector<int64_t> pieces(int64_t inputs, at::ScalarType dtype) {
  if (dtype == at::kFloat && inputs == 384 && at::get_num_threads() >= 8) return {192, 192};
  constexpr int64_t kTileDepth = 32;  // inputs that a tile holds
  constexpr int64_t kMost = 384;
  const bool torn = inputs > kMost || inputs == 168 || inputs == 240 || inputs == 360;
  if (dtype != at::kBFloat16 || !has_bf16_tiles() || !torn) return {inputs};
  const int64_t tiles = inputs / kTileDepth, count = (inputs + kMost - 1) / kMost;
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < count; ++i)
    sizes.push_back((tiles * (i + 1) / count - tiles * i / count) * kTileDepth);
  if (inputs % kTileDepth > 0) sizes.push_back(inputs % kTileDepth);
  return sizes;
}

}  // namespace

PackedLinear::PackedLinear(const at::Tensor& weight, const at::Tensor& bias, Packing packing) {
  if (packing.products == Products::int8) {
    int8_ = Int8Linear(weight, bias);
    return;
  }
  if (bias.defined()) bias_ = bias.detach();
  weight_ = weight.detach();
  const bool on_cpu = weight.device().is_cpu();
  TORCH_CHECK(on_cpu || packing.library != ProductLibrary::onednn,
              "PackedLinear: oneDNN multiplies on the CPU, the weight is on ", weight.device());
  if (on_cpu && packing.library.value_or(product_library(weight.scalar_type())) == ProductLibrary::onednn) {
    static const auto reorder = library_operator<Reorder>("mkldnn::_reorder_linear_weight");
    for (const auto& piece : weight_.split_with_sizes(pieces(weight.size(1), weight.scalar_type()), 1))
      packed_.push_back(reorder.call(piece.contiguous(), std::nullopt));
    weight_.reset();
  } else if (on_cpu) {
    weight_ = weight_.clone();  // later changes do not reach this layer
  }
}

namespace {

at::Tensor pointwise(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                     std::string_view activation, std::optional<std::string_view> algorithm = std::nullopt) {
  static const auto op = library_operator<Pointwise>("mkldnn::_linear_pointwise");
  return op.call(at_least_two_rows(x).contiguous(), weight, optional(bias), activation,
                 c10::List<std::optional<at::Scalar>>(), algorithm);
}

// (x W^T + b) and `other`, "mul" or "add"
at::Tensor pointwise_with(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight,
                          const at::Tensor& bias, std::string_view operation) {
  static const auto op = library_operator<PointwiseBinary>("mkldnn::_linear_pointwise", "binary");
  return op.call(at_least_two_rows(x).contiguous(), at_least_two_rows(other).contiguous(), weight,
                 optional(bias), operation);
}

}  // namespace

at::Tensor PackedLinear::operator()(const at::Tensor& x) const {
  if (int8_.defined()) return int8_(x);
  if (packed_.empty() && !weight_.device().is_cpu()) return linear_reference(x, weight_, bias_);
  const auto rows = as_rows(x);
  if (packed_.empty()) return like_input(linear_reference(in_fours(rows).contiguous(), weight_, bias_), x);
  at::Tensor sum;
  int64_t first = 0;
  for (const auto& weight : packed_) {
    const auto part = rows.narrow(1, first, weight.size(1));
    sum =
        sum.defined() ? pointwise_with(part, sum, weight, {}, "add") : pointwise(part, weight, bias_, "none");
    first += weight.size(1);
  }
  return like_input(sum, x);
}

at::Tensor PackedLinear::swish(const at::Tensor& x) const {
  if (packed_.size() != 1) return kernels::silu((*this)(x));
  return like_input(pointwise(as_rows(x), packed_[0], bias_, "swish"), x);
}

at::Tensor PackedLinear::gelu(const at::Tensor& x) const {
  if (packed_.size() != 1) return kernels::gelu((*this)(x));
  return like_input(pointwise(as_rows(x), packed_[0], bias_, "gelu", "tanh"), x);
}

at::Tensor PackedLinear::times(const at::Tensor& x, const at::Tensor& other) const {
  if (packed_.size() != 1) return (*this)(x)*other;
  return like_input(pointwise_with(as_rows(x), as_rows(other), packed_[0], bias_, "mul"), x);
}

}  // namespace switchyard::kernels

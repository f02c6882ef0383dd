// Linear layers and SwiGLU networks with numbers of 8 bits, for inference on processors that multiply them
// faster than bf16 (AVX512-VNNI): twice as many products per second, packed weights of half the
// size, and an error of their own.
//
//   x_r ~ s_r q_r     a row of activations: s_r = max |x_r| / 127, q_r = round(x_r / s_r), at each call
//   W_o ~ s_o q_o     the weights of one output, likewise, once
//   y_ro = s_r s_o (q_r . q_o) + b_o
//
// The sum is exact (in 32 bits, for up to 66,311 inputs) and a row's scale is its own: a row's result does
// not depend on its batch. Rounding to 8 bits costs about 1 % of the result's size per layer
// (docs/performance.md has the error in images). The scheme is dynamic quantisation, symmetric, per token and
// per output channel.
//
//   x [..., in]  fp32 or bf16, on the CPU     weight [out, in]     bias [out] or undefined
//   y [..., out] in the dtype of x
//
// int8_linear_reference computes the same from the definition, in double: the tests' oracle.
#pragma once

#include <ATen/core/Tensor.h>

namespace switchyard::kernels {

/// Whether this processor multiplies numbers of 8 bits, and bf16, in hardware.
bool has_int8_products();

/// Rows of activations, row r being scales[r] * (values[r] - 128).
struct QuantisedRows {
  at::Tensor values;  // [rows, width] uint8, 1 .. 255
  at::Tensor scales;  // [rows] fp32
};

/// x [..., width] on the CPU, fp32 or bf16.
QuantisedRows quantise_rows(const at::Tensor& x);

at::Tensor int8_linear_reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// Throws c10::Error where has_int8_products() is false or there are too many inputs.
class Int8Linear {
 public:
  Int8Linear() = default;
  Int8Linear(const at::Tensor& weight, const at::Tensor& bias);

  at::Tensor operator()(const at::Tensor& x) const;

  /// s_o (q_r . q_o) [rows, out] fp32: without the rows' scales and the bias.
  at::Tensor product(const QuantisedRows& x) const;

  /// That, scaled by the rows and with the bias, as `dtype`.
  at::Tensor scaled(const at::Tensor& product, const at::Tensor& scales, at::ScalarType dtype) const;

  bool defined() const { return weight_.defined(); }

 private:
  at::Tensor weight_;       // packed, opaque
  at::Tensor scales_;       // [out] fp32
  at::Tensor zero_points_;  // [out] int32, all 0
  at::Tensor bias_;         // [out] fp32, or undefined
};

/// (silu(x G^T) * (x U^T)) D^T, gate_up [2H, D] being G over U; the activations in between are of 8 bits too.
class Int8SwiGlu {
 public:
  Int8SwiGlu() = default;
  Int8SwiGlu(const at::Tensor& gate_up, const at::Tensor& down);
  at::Tensor operator()(const at::Tensor& x) const;
  bool defined() const { return down_.defined(); }

 private:
  Int8Linear gate_up_, down_;
};

}  // namespace switchyard::kernels

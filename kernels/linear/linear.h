// Linear layers in the form that this processor multiplies fastest.
//
// PackedLinear computes y = x W^T + b and its fused forms, for inference (no gradient). On a CPU the weight is
// packed once for oneDNN, which in fp32 on AMD processors is up to twice as fast as the MKL behind at::linear,
// and whose rows do not depend on how many rows are multiplied with them (where they would, linear.cc cuts the
// sums up): the reason why an image does not depend on its batch. On processors without AVX512
// (kernels/linear/product_library.h), and on other devices, it is at::linear, on a CPU with the rows filled up to
// multiples of four, which then stand alone too.
//
//   x      [..., in]   fp32 or bf16, same dtype and device as the weight
//   weight [out, in]   bias [out] or undefined
//   y      [..., out]
//
// linear_reference is the plain form: the oracle of the tests and the yardstick of the benchmark.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "kernels/linear/int8_linear.h"
#include "kernels/linear/product_library.h"

namespace switchyard::kernels {

at::Tensor linear_reference(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// Whether this processor multiplies bf16 matrices in hardware (AVX512-BF16 or AMX); without it bf16 is
/// slower than fp32.
bool has_bf16_products();

/// Whether it does so in AMX tiles, which libraries sum in an order that changes with the number of rows.
bool has_bf16_tiles();

/// How packed layers multiply: in the weight's dtype, or in numbers of 8 bits (kernels/linear/int8_linear.h; on the
/// CPU, where has_int8_products()).
enum class Products { in_dtype, int8 };

/// Whether this processor multiplies so in hardware. fp32 always.
bool has_products(at::ScalarType dtype, Products products = Products::in_dtype);

struct Packing {
  Products products = Products::in_dtype;
  /// Goes before the rule of product_library.h; numbers of 8 bits are oneDNN's alone.
  std::optional<ProductLibrary> library = std::nullopt;

  bool operator==(const Packing&) const = default;
};

class PackedLinear {
 public:
  PackedLinear() = default;
  /// Throws c10::Error where oneDNN is asked for on another device than the CPU.
  PackedLinear(const at::Tensor& weight, const at::Tensor& bias, Packing packing = {});

  at::Tensor operator()(const at::Tensor& x) const;                      // x W^T + b
  at::Tensor swish(const at::Tensor& x) const;                           // silu(x W^T + b)
  at::Tensor gelu(const at::Tensor& x) const;                            // gelu(x W^T + b), its tanh form
  at::Tensor times(const at::Tensor& x, const at::Tensor& other) const;  // (x W^T + b) * other

  bool defined() const { return !packed_.empty() || weight_.defined() || int8_.defined(); }

 private:
  std::vector<at::Tensor> packed_;  // opaque, [out, in]; cut along the inputs where one would not give the
                                    // same rows whatever their number; or empty, and instead of it
  at::Tensor weight_;               // [out, in], or
  Int8Linear int8_;                 // with its own bias
  at::Tensor bias_;                 // [out] or undefined
};

}  // namespace switchyard::kernels

// Which library multiplies matrices: oneDNN with packed weights, or what at::linear uses (MKL).
//
// A fixed rule by processor and dtype, because the last bits of an image follow from it. oneDNN where it has
// kernels of its own for the instruction set: with AVX512 it is up to twice as fast in fp32 as MKL on AMD
// processors, and its rows do not depend on how many are multiplied. With AVX2 alone it falls back to a kernel
// whose last rows depend on their number (found by comparing 1 .. 1024 rows on 1 .. 16 threads), and is no faster
// than MKL, whose rows stand alone in multiples of four (linear.cc fills them up).
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string_view>

namespace switchyard::kernels {

enum class ProductLibrary { onednn, at_linear };

std::string_view to_string(ProductLibrary library);  // the enumerator's name

/// Throws std::invalid_argument for any other name.
ProductLibrary product_library_from_name(std::string_view name);

/// What a processor can do, as far as the rule asks.
struct Processor {
  bool avx512 = false, avx512_bf16 = false;
};
Processor this_processor();

/// The rule. dtype fp32 or bf16.
constexpr ProductLibrary product_library(at::ScalarType dtype, const Processor& processor) {
  const bool own_kernels = dtype == at::kBFloat16 ? processor.avx512_bf16 : processor.avx512;
  return own_kernels ? ProductLibrary::onednn : ProductLibrary::at_linear;
}

inline ProductLibrary product_library(at::ScalarType dtype) { return product_library(dtype, this_processor()); }

}  // namespace switchyard::kernels

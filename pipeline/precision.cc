#include "pipeline/precision.h"

#include <array>
#include <stdexcept>

#include "io/near_misses.h"

namespace switchyard::pipeline {
namespace {

constexpr std::array kPrecisions = {
    Precision{},
    Precision{at::kBFloat16, kernels::Products::in_dtype, "bfloat16", "bf16"},
    Precision{at::kBFloat16, kernels::Products::int8, "int8", "int8"},
};

}  // namespace

const Precision& precision_from_name(std::string_view name) {
  std::array<std::string_view, kPrecisions.size()> known;
  for (size_t i = 0; i < known.size(); ++i) {
    if (kPrecisions[i].name == name || kPrecisions[i].short_name == name) return kPrecisions[i];
    known[i] = kPrecisions[i].short_name;
  }
  throw std::invalid_argument("unknown dtype \"" + std::string(name) + "\": " + io::near_misses(name, known));
}

void require_precision(const Precision& precision, at::Device device, const std::string& asked) {
  if (precision.products == kernels::Products::int8 && !(device.is_cpu() && kernels::has_int8_products())) {
    throw std::invalid_argument(
        asked + ": " +
        (device.is_cpu() ? "this processor has no AVX512-VNNI and AVX512-BF16" : "it is for the CPU alone") +
        "; choose --dtype bf16 or fp32");
  }
  if (precision.dtype == at::kBFloat16 && device.is_cpu() && !kernels::has_bf16_products()) {
    throw std::invalid_argument(asked + ": this processor has no bf16 products; choose --dtype fp32");
  }
}

}  // namespace switchyard::pipeline

#include "kernels/linear/product_library.h"

#include <stdexcept>
#include <string>

namespace switchyard::kernels {

std::string_view to_string(ProductLibrary library) {
  return library == ProductLibrary::onednn ? "onednn" : "at_linear";
}

ProductLibrary product_library_from_name(std::string_view name) {
  for (const auto library : {ProductLibrary::onednn, ProductLibrary::at_linear})
    if (to_string(library) == name) return library;
  throw std::invalid_argument("unknown product library \"" + std::string(name) +
                              "\": expected onednn or at_linear");
}

Processor this_processor() {
  return {.avx512 = __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0,
          .avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0};
}

}  // namespace switchyard::kernels

#include "app/cli/names.h"

#include <array>
#include <cctype>
#include <stdexcept>
#include <string_view>

#include "io/near_misses.h"

namespace switchyard::app {

std::string dtype_name(at::ScalarType dtype) {
  std::string name = c10::toString(dtype);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name == "float"    ? "float32"
         : name == "half"   ? "float16"
         : name == "double" ? "float64"
         : name == "long"   ? "int64"
                            : name;
}

at::ScalarType stored_dtype(const char* option, const std::string& name) {
  constexpr std::array<std::string_view, 3> known = {"fp32", "bf16", "fp16"};
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  if (name == "fp16") return at::kHalf;
  throw std::invalid_argument(std::string(option) + ": unknown number type \"" + name +
                              "\": " + io::near_misses(name, known));
}

}  // namespace switchyard::app

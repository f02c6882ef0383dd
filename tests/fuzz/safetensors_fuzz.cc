// libFuzzer target: whatever the bytes, the safetensors reader refuses them with an InputError or gives
// tensors that lie inside them.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "io/error.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto owner = std::make_shared<std::vector<std::byte>>(size);
  if (size > 0) std::memcpy(owner->data(), data, size);
  try {
    const auto file = switchyard::io::parse_safetensors(*owner, owner, "fuzz");
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : file.tensors) {
      const auto* begin = static_cast<const unsigned char*>(tensor.const_data_ptr());
      unsigned sum = 0;  // touches every byte, which AddressSanitizer checks
      for (std::size_t i = 0; i < tensor.nbytes(); ++i) sum += begin[i];
      volatile unsigned keep = sum;
      static_cast<void>(keep);
      bytes += tensor.nbytes();
    }
    if (bytes > size) std::abort();
  } catch (const switchyard::io::InputError&) {
  }
  return 0;
}

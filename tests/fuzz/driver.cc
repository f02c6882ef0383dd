// libFuzzer's entry, for the reader that the program is built for.
#include <cstdint>

#include "readers.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  switchyard::fuzz::SWITCHYARD_FUZZED(std::as_bytes(std::span(data, size)));
  return 0;
}

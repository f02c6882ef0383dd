// The readers of foreign bytes, one function each. Whatever the bytes, a reader refuses them with an
// InputError or gives what lies inside them; anything else leaves the function as another exception or stops
// the program under a sanitizer. libFuzzer drives the functions (driver.cc), and the ordinary tests replay
// the seeds (replay_test.cc).
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../io/hostile.h"

namespace switchyard::fuzz {

using Bytes = std::span<const std::byte>;

// True where the bytes were read, false where they were refused.
bool fuzz_idx(Bytes bytes);
bool fuzz_jpeg(Bytes bytes);
bool fuzz_json(Bytes bytes);
bool fuzz_npz(Bytes bytes);
bool fuzz_png(Bytes bytes);
bool fuzz_safetensors(Bytes bytes);
bool fuzz_stored_zip(Bytes bytes);
bool fuzz_torch_file(Bytes bytes);

// What fuzzing starts from: files that are read, and those that the tests know to be refused.
std::vector<std::string> idx_seeds();
std::vector<std::string> jpeg_seeds();
std::vector<std::string> json_seeds();
std::vector<std::string> npz_seeds();
std::vector<std::string> png_seeds();
std::vector<std::string> safetensors_seeds();
std::vector<std::string> stored_zip_seeds();
std::vector<std::string> torch_file_seeds();

struct Reader {
  const char* name;
  bool (*read)(Bytes);
  std::vector<std::string> (*seeds)();
};

inline constexpr Reader kReaders[] = {
    {"idx", fuzz_idx, idx_seeds},
    {"jpeg", fuzz_jpeg, jpeg_seeds},
    {"json", fuzz_json, json_seeds},
    {"npz", fuzz_npz, npz_seeds},
    {"png", fuzz_png, png_seeds},
    {"safetensors", fuzz_safetensors, safetensors_seeds},
    {"stored_zip", fuzz_stored_zip, stored_zip_seeds},
    {"torch_file", fuzz_torch_file, torch_file_seeds},
};

// The inputs that fuzzing found and tests/fuzz/corpus keeps: one a line, in hexadecimal digits.
std::vector<std::string> kept_inputs(const Reader& reader);

// What is not so is a fault of the reader.
inline void require(bool is_so, const char* what) {
  if (!is_so) throw std::logic_error(what);
}

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Touches every byte, which AddressSanitizer checks.
inline void touch(const void* data, std::size_t size) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < size; ++i) sum += static_cast<const unsigned char*>(data)[i];
  volatile unsigned keep = sum;
  static_cast<void>(keep);
}

inline void append(std::vector<std::string>& seeds, const std::vector<io::Hostile>& files) {
  for (const io::Hostile& file : files) seeds.push_back(file.bytes);
}

}  // namespace switchyard::fuzz

// JPEG: the pixels of a file, baseline or progressive.
#include "io/error.h"
#include "io/jpeg.h"
#include "readers.h"

namespace switchyard::fuzz {

bool fuzz_jpeg(Bytes bytes) {
  try {
    const at::Tensor pixels = io::parse_jpeg(bytes, "fuzz");
    require(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.numel() > 0, "an RGB image");
    require(pixels.nbytes() <= 3 * (1032 * bytes.size() + 1031), "an image that was in the file");
    touch(pixels.const_data_ptr(), pixels.nbytes());
    return true;
  } catch (const io::InputError&) {
    return false;
  }
}

std::vector<std::string> jpeg_seeds() {
  std::vector<std::string> seeds;
  for (const int components : {1, 3, 4})
    for (const bool progressive : {false, true})
      for (const bool subsampled : {false, true})
        seeds.push_back(io::jpeg_of({.width = 17,
                                     .height = 9,
                                     .components = components,
                                     .is_subsampled = subsampled,
                                     .is_progressive = progressive}));
  seeds.push_back(io::jpeg_of({.components = 3, .restart_interval = 1}));
  seeds.push_back(io::jpeg_of({.components = 3, .is_rgb = true}));
  seeds.push_back(io::jpeg_of({.components = 3, .is_arithmetic = true}));
  seeds.push_back(io::jpeg_of({.components = 3, .is_one_scan_per_component = true}));
  append(seeds, io::hostile_jpegs());
  return seeds;
}

}  // namespace switchyard::fuzz

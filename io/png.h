// PNG images with text entries, which is where image generators keep the settings that made an image.
//
// Source: the PNG specification, third edition (https://www.w3.org/TR/png-3/), through libpng.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace switchyard::io {

// (keyword, text) in file order; both are UTF-8 here, whatever the chunk's own encoding.
using TextEntries = std::vector<std::pair<std::string, std::string>>;

struct PngImage {
  at::Tensor pixels;  // [height, width, 3] uint8
  TextEntries text;
};

// image: [height, width, 3] (RGB) or [height, width, 1] (grey), uint8, sides 1 to 32,768. Atomic.
// Text becomes tEXt where Latin-1 can hold it, else iTXt (UTF-8).
// std::invalid_argument: shape, dtype, a keyword that is not 1-79 printable Latin-1 characters without
// leading, trailing or double spaces, text that is not UTF-8 or holds a NUL. OutputError: the file cannot be
// written.
void write_png(const std::filesystem::path& path, const at::Tensor& image, const TextEntries& text = {});

// Any PNG (grey, palette, 1 to 16 bits, interlaced) as 8-bit RGB; alpha is dropped, not blended. Sides up to
// 32,768, 2^28 pixels in all, 8 MB per text entry. InputError: not a PNG, damaged, or beyond those limits.
PngImage read_png(const std::filesystem::path& path);

}  // namespace switchyard::io

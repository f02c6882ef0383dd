// PNG images with text entries, which is where image generators keep the settings that made an image.
//
// Source: the PNG specification, third edition (https://www.w3.org/TR/png-3/), through libpng.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <span>
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
// leading, trailing or double spaces, text that is not UTF-8 or holds a NUL, more text than read_png takes.
// OutputError: the file cannot be written.
void write_png(const std::filesystem::path& path, const at::Tensor& image, const TextEntries& text = {});

// What becomes of transparency: dropped, so that colours show that nobody was meant to see (as Pillow's convert("RGB") and
// with it the field's metrics do), or blended over white, as a browser shows a picture.
enum class Alpha { drop, over_white };

// Any PNG (grey, palette, 1 to 16 bits, interlaced) as 8-bit RGB; of 16 bits the high byte is kept. Sides up to
// 32,768, 2^28 pixels in all, 1000 text entries, 8,000,000 bytes of UTF-8 in all their keywords and texts.
// InputError: not a PNG, damaged, or beyond those limits.
PngImage read_png(const std::filesystem::path& path, Alpha alpha = Alpha::drop);

// The same for bytes in memory; `name` stands in for the file's name in messages.
PngImage parse_png(std::span<const std::byte> bytes, const std::string& name, Alpha alpha = Alpha::drop);

}  // namespace switchyard::io

// PNG: pixels and texts of a file, as it is and, where that is refused, with every checksum made right.
#include <zlib.h>

#include "io/error.h"
#include "io/png.h"
#include "io/text.h"
#include "readers.h"

namespace switchyard::fuzz {
namespace {

bool read(std::string_view file) {
  try {
    const io::PngImage image = io::parse_png(std::as_bytes(std::span(file)), "fuzz");
    require(image.pixels.dim() == 3 && image.pixels.size(2) == 3 && image.pixels.numel() > 0, "an RGB image");
    touch(image.pixels.const_data_ptr(), image.pixels.nbytes());
    const auto blended = io::parse_png(std::as_bytes(std::span(file)), "fuzz", io::Alpha::over_white).pixels;
    require(blended.sizes() == image.pixels.sizes(), "as large over white");
    std::size_t size = 0;
    for (const auto& [keyword, text] : image.text) {
      require(io::is_utf8(keyword) && io::is_utf8(text), "texts in UTF-8");
      size += keyword.size() + text.size();
    }
    require(size <= 8'000'000, "bounded texts");
    return true;
  } catch (const io::InputError&) {
    return false;
  }
}

}  // namespace

bool fuzz_png(Bytes bytes) {
  std::string file(as_text(bytes));
  if (read(file)) return true;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(file[at]); };
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t size =
        std::size_t{byte(at)} << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
    if (size > file.size() - at - 12) break;
    const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(file.data()) + at + 4, size + 4);
    for (int i = 0; i < 4; ++i) file[at + 8 + size + i] = static_cast<char>(crc >> (24 - 8 * i));
    at += 12 + size;
  }
  return read(file);
}

std::vector<std::string> png_seeds() {
  std::vector<std::string> seeds;
  const std::string rows =
      "\1\1\1\1\1\1\1\1\1\2\2\2\2\2\2\2\2\2\3\3\3\3\3\3\3\3\3\4" + std::string(500, '\0');
  const std::string palette = io::png_chunk("PLTE", "abcdefghi"), nul(1, '\0');
  const auto add = [&](int depth, int color, const std::string& transparent) {
    for (const int interlace : {0, 1}) {
      const std::string chunks = color == 3 ? palette : "";
      seeds.push_back(io::png_of({9, 5, depth, color, interlace}, rows, chunks));
      if (!transparent.empty())
        seeds.push_back(
            io::png_of({3, 2, depth, color, interlace}, rows, chunks + io::png_chunk("tRNS", transparent)));
    }
  };
  for (const int depth : {1, 2, 4, 8, 16}) add(depth, 0, nul + "\1");
  for (const int depth : {1, 2, 4, 8}) add(depth, 3, "\x80");
  for (const int depth : {8, 16}) {
    add(depth, 2, nul + "\1" + nul + "\2" + nul + "\3");
    add(depth, 4, "");
    add(depth, 6, "");
  }
  const std::string compressed("\x78\x9c\x03\0\0\0\0\1", 8);  // no text
  seeds.push_back(
      io::png_with(io::png_chunk("tEXt", "caf\xe9" + nul + "na\xefve") +
                   io::png_chunk("zTXt", "k" + nul + nul + compressed) +
                   io::png_chunk("iTXt", "k" + nul + nul + nul + "en" + nul + "k" + nul + "\u20ac") +
                   io::png_chunk("iTXt", "k" + nul + "\1" + nul + nul + nul + compressed)));
  seeds.push_back(
      io::png_with(io::png_chunk("gAMA", "abcd") + io::png_chunk("iCCP", "p" + nul + nul + compressed)));
  append(seeds, io::hostile_pngs());
  return seeds;
}

}  // namespace switchyard::fuzz

#include <zlib.h>

#include "hostile.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

std::string be32(std::uint64_t value) {
  const std::string bytes = build::le(value, 4);
  return {bytes.rbegin(), bytes.rend()};
}

std::string deflated(const std::string& bytes) {
  std::string out(::compressBound(bytes.size()), '\0');
  uLongf size = out.size();
  ::compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(bytes.data()),
             bytes.size());
  return out.substr(0, size);
}

std::string repeat(const std::string& part, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += part;
  return all;
}

}  // namespace

std::string png_chunk(const std::string& type, const std::string& data) {
  const std::string checked = type + data;
  const auto crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size());
  return be32(data.size()) + checked + be32(crc);
}

std::string png_of(const PngHead& head, const std::string& rows, const std::string& chunks) {
  return "\x89PNG\r\n\x1a\n" +
         png_chunk("IHDR", be32(head.width) + be32(head.height) + static_cast<char>(head.depth) +
                               static_cast<char>(head.color) + std::string(2, '\0') +
                               static_cast<char>(head.interlace)) +
         chunks + png_chunk("IDAT", deflated(rows)) + png_chunk("IEND", "");
}

std::string png_with(const std::string& chunks) { return png_of({}, std::string(2, '\0'), chunks); }

std::vector<Hostile> hostile_pngs() {
  const std::string good = png_with(""), nul(1, '\0');
  const auto text = [](const std::string& type, const std::string& data) {
    return png_with(png_chunk(type, data));
  };
  const std::string eight_mb = deflated(std::string(7'500'000, ' '));
  return {
      {"empty", "", "cannot be read as PNG"},
      {"another format", "GIF89a, not a PNG", "cannot be read as PNG"},
      {"no image", good.substr(0, 33) + png_chunk("IEND", ""), "cannot be read as PNG"},
      {"no end", good.substr(0, good.size() - 12), "ends early"},
      {"another checksum", good.substr(0, good.size() - 13) + "x" + good.substr(good.size() - 12),
       "damaged PNG"},
      {"rows that are missing", png_of({1, 3, 8, 0}, std::string(2, '\0')), "damaged PNG"},
      {"an unknown filter", png_of({1, 1, 8, 0}, "\x09x"), "damaged PNG"},
      {"32,769 columns", png_of({32'769, 1, 1, 0}, ""), "cannot be read as PNG"},
      {"2^28 pixels in a few bytes", png_of({16'384, 16'384, 8, 2}, ""), "cannot hold 16384 x 16384 pixels"},
      {"2^30 pixels", png_of({32'768, 32'768, 1, 0}, ""), "expected at most 268435456 pixels"},
      {"unknown critical chunk", png_with(png_chunk("ABCD", "")), "cannot be read as PNG"},
      {"palette of none", png_of({.color = 3}, ""), "cannot be read"},

      {"text of 2 GiB", png_with("\x7f\xff\xff\xfftEXtk"), "ends early"},
      {"text of 4 GiB", png_with("\xff\xff\xff\xfftEXtk"), "cannot be read as PNG"},
      {"text of 2 GiB after the image",
       good.substr(0, good.size() - 12) + "\x7f\xff\xff\xff" + "tEXtk" + std::string(20, '\0'), "ends early"},
      {"no keyword", text("tEXt", nul + "x"), "a keyword of 1 to 79 bytes, found 0"},
      {"keyword of 80 bytes", text("tEXt", std::string(80, 'k') + nul), "of 1 to 79 bytes, found 80"},
      {"keyword that does not end", text("tEXt", "k"), "expected a NUL"},
      {"no compression method", text("zTXt", "k" + nul), "text entry \"k\": damaged PNG: ends early"},
      {"compression method 1", text("zTXt", "k" + nul + "\x01"), "expected compression method 0, found 1"},
      {"not compressed", text("zTXt", "k" + nul + nul + "text"), "compressed text cannot be read"},
      {"compressed text cut off", text("zTXt", "k" + nul + nul + deflated("text").substr(0, 6)),
       "compressed text cannot be read"},
      {"iTXt without a method", text("iTXt", "k" + nul + nul), "ends early"},
      {"iTXt without a language", text("iTXt", "k" + nul + nul + nul + "en"), "expected a NUL"},
      {"iTXt without a second keyword", text("iTXt", "k" + nul + nul + nul + nul), "expected a NUL"},
      {"iTXt of method 1", text("iTXt", "k" + nul + "\x01\x01" + nul + nul), "compression method 0, found 1"},
      {"not UTF-8", text("iTXt", "k" + nul + nul + nul + nul + nul + "\xff"), "expected UTF-8"},
      {"compressed text that is not UTF-8",
       text("iTXt", "k" + nul + "\x01" + nul + nul + nul + deflated("\xff")), "expected UTF-8"},
      {"control characters in a keyword", text("zTXt", "\x1b[31m" + nul), "\\u001b[31m"},
      {"1001 texts", png_with(repeat(png_chunk("tEXt", "k" + nul), 1001)), "at most 1000 text entries"},
      {"a text of 8,000,001 bytes", text("tEXt", "k" + nul + std::string(8'000'001, 'x')),
       "at most 8000000 bytes in all text entries"},
      {"a compressed text of 9 MB", text("zTXt", "k" + nul + nul + deflated(std::string(9'000'000, 'x'))),
       "at most 8000000 bytes in all text entries"},
      {"200 compressed texts of 7.5 MB",
       png_with(repeat(png_chunk("iTXt", "k" + nul + "\x01" + nul + nul + nul + eight_mb), 200)),
       "at most 8000000 bytes in all text entries"},
      {"Latin-1 that is longer in UTF-8",
       png_with(repeat(png_chunk("tEXt", "k" + nul + std::string(3'900'000, '\xe9')), 2)),
       "at most 8000000 bytes in all text entries"},
  };
}

}  // namespace switchyard::io

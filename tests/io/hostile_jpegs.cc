#include <cstddef>
#include <cstdio>
// Needs size_t and FILE.
#include <jpeglib.h>

#include <cstdlib>
#include <stdexcept>

#include "hostile.h"

namespace switchyard::io {
namespace {

std::string be16(std::size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}

// A copy with the size in the frame header replaced.
std::string with_size(std::string file, std::size_t height, std::size_t width) {
  for (const char* frame : {"\xff\xc0", "\xff\xc2"})
    if (const std::size_t at = file.find(frame); at != file.npos)
      return file.replace(at + 5, 4, be16(height) + be16(width));
  throw std::logic_error("no frame header");
}

std::string with_byte(std::string file, const std::string& marker, std::size_t offset, char value) {
  file.at(file.find(marker) + offset) = value;
  return file;
}

}  // namespace

std::string jpeg_of(const JpegKind& kind) {
  jpeg_compress_struct info = {};
  jpeg_error_mgr errors;
  info.err = jpeg_std_error(&errors);  // ends the program where libjpeg is misused here
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &bytes, &size);
  info.image_width = static_cast<JDIMENSION>(kind.width);
  info.image_height = static_cast<JDIMENSION>(kind.height);
  info.input_components = kind.components;
  info.in_color_space = kind.components == 1   ? JCS_GRAYSCALE
                        : kind.components == 3 ? JCS_RGB
                        : kind.components == 4 ? JCS_CMYK
                                               : JCS_UNKNOWN;
  jpeg_set_defaults(&info);
  if (kind.is_rgb) jpeg_set_colorspace(&info, JCS_RGB);
  if (kind.components == 3)
    for (int* factor : {&info.comp_info[0].h_samp_factor, &info.comp_info[0].v_samp_factor})
      *factor = kind.is_subsampled ? 2 : 1;
  info.restart_interval = static_cast<unsigned>(kind.restart_interval);
  info.arith_code = kind.is_arithmetic ? TRUE : FALSE;
  if (kind.is_progressive) jpeg_simple_progression(&info);
  jpeg_scan_info scans[3] = {};
  if (kind.is_one_scan_per_component) {
    for (int i = 0; i < 3; ++i) scans[i] = {1, {i, 0, 0, 0}, 0, 63, 0, 0};
    info.scan_info = scans;
    info.num_scans = 3;
  }
  jpeg_start_compress(&info, TRUE);
  std::string row(static_cast<std::size_t>(kind.width * kind.components), '\0');
  for (int y = 0; y < kind.height; ++y) {
    for (std::size_t x = 0; x < row.size(); ++x)
      row[x] = static_cast<char>(x * 37 + static_cast<std::size_t>(y) * 11);
    auto* samples = reinterpret_cast<JSAMPLE*>(row.data());
    jpeg_write_scanlines(&info, &samples, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::string file(reinterpret_cast<const char*>(bytes), size);
  std::free(bytes);
  return file;
}

std::vector<Hostile> hostile_jpegs() {
  const std::string good = jpeg_of({}), colour = jpeg_of({.components = 3});
  const std::string progressive = jpeg_of({.components = 3, .is_progressive = true});
  const std::size_t scan = good.find("\xff\xda"), data = scan + 2 + 8;  // of one component
  const std::string end = "\xff\xd9";

  std::string padding;
  for (int i = 0; i < 5; ++i) padding += "\xff\xfe" + be16(60'002) + std::string(60'000, ' ');
  std::string large = with_size(progressive, 16'384, 16'384);
  large.insert(2, padding);

  const std::string apart = jpeg_of({.components = 3, .is_one_scan_per_component = true});
  const std::size_t first = apart.find("\xff\xda");
  std::size_t second = apart.find("\xff\xda", first + 2);
  const std::size_t tables = apart.find("\xff\xc4", first + 2);  // of the second scan, if they come before it
  if (tables < second) second = tables;
  std::string many_scans = apart;
  for (int i = 0; i < 100; ++i) many_scans.insert(first, apart.substr(first, second - first));

  const std::string unreadable = "cannot be read as JPEG", damaged = "damaged JPEG: ";
  return {
      {"empty", "", unreadable},
      {"another format", "GIF89a, not a JPEG", unreadable},
      {"a start alone", "\xff\xd8", unreadable},
      {"no image", "\xff\xd8\xff\xd9", unreadable},
      {"no scan", good.substr(0, scan), unreadable},
      {"no data", good.substr(0, data), damaged + "Premature end"},
      {"an end instead of data", good.substr(0, data) + end, damaged},
      {"no end", good.substr(0, good.size() - 2), damaged + "Premature end"},
      {"data cut off", good.substr(0, good.size() - 6), damaged + "Premature end"},
      {"a bad Huffman code", good.substr(0, data) + std::string("\xff\0\xff\0\xff\0\xff\0", 8) + end,
       damaged + "Corrupt"},
      {"no quantisation tables", good.substr(0, good.find("\xff\xdb")) + good.substr(good.find("\xff\xc0")),
       damaged + "Quantization table"},
      {"12 bits", with_byte(good, "\xff\xc0", 4, 12), unreadable},
      {"lossless", with_byte(good, "\xff\xc0", 1, '\xc3'), unreadable},
      {"a component sampled 5 times", with_byte(good, "\xff\xc0", 11, '\x55'), unreadable},
      {"a table that runs over the end", with_byte(good, "\xff\xdb", 2, '\xff'), unreadable},
      {"two components", jpeg_of({.components = 2}), "expected a JPEG of 1, 3 or 4 components, found 2"},
      {"no rows", with_size(good, 0, 8), unreadable},
      {"no columns", with_size(good, 8, 0), unreadable},
      {"more rows than data", with_size(good, 64, 31), damaged},
      {"32,769 columns", with_size(good, 1, 32'769), "expected sides up to 32768"},
      {"2^30 pixels", with_size(good, 32'768, 32'768), "at most 268435456 pixels, found 32768 x 32768"},
      {"2^28 pixels in a few bytes", with_size(good, 16'384, 16'384), "cannot hold 16384 x 16384 pixels"},
      {"2^24 pixels in a few bytes", with_size(progressive, 4096, 4096), "cannot hold 4096 x 4096 pixels"},
      {"1.6 GB of coefficients", large, "it needs more than 1024 MiB"},
      {"103 scans", many_scans, "expected a JPEG of at most 100 scans, found more"},
  };
}

}  // namespace switchyard::io

// Files built to harm, each with a part of what must be said about it: tables that the tests check and from
// which the fuzzers start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace switchyard::io {

struct Hostile {
  std::string what, bytes;
  std::string message;  // a part of what must be said
};

std::vector<Hostile> hostile_idx_files();
std::vector<Hostile> hostile_jpegs();
std::vector<Hostile> hostile_json();
std::vector<Hostile> hostile_npz_files();
std::vector<Hostile> hostile_pngs();
std::vector<Hostile> hostile_safetensors();
std::vector<Hostile> hostile_zips();  // of the reader of stored zip archives

// PyTorch files, by what is wrong with them.
std::vector<Hostile> hostile_code();
std::vector<Hostile>
foreign_code();  // nothing wrong: names that mean nothing to us; what must be read, as JSON
std::vector<Hostile> hostile_pickles();
std::vector<Hostile> hostile_tensors();
std::vector<Hostile> hostile_legacy_files();

// What must never appear: every payload that could run would make this file.
std::string trap();

// A safetensors file with this header and this many data bytes, all 0, after it.
std::string with_header(const std::string& header, std::size_t data = 0);

// A .npy file: magic, length, header, data; and the .npz archive with it alone, stored as a.npy.
std::string npy_header(const std::string& dtype, const std::string& shape);
std::string npy_of(const std::string& header, const std::string& data);
std::string npz_of(const std::string& header, const std::string& data);

// An IDX file of unsigned bytes; and any bytes as gzip packs them.
std::string idx_of(const std::vector<std::uint32_t>& sizes, const std::string& data);
std::string gzip(const std::string& bytes);

// A JPEG file of a pattern, written by libjpeg.
struct JpegKind {
  int width = 8, height = 8, components = 1;  // 1 grey, 3 YCbCr, 4 CMYK
  int restart_interval = 0;
  bool is_rgb = false, is_subsampled = false, is_progressive = false, is_arithmetic = false;
  bool is_one_scan_per_component = false;
};
std::string jpeg_of(const JpegKind& kind);

// A PNG file of these rows, each with its filter's number, and these chunks before them; one grey pixel.
struct PngHead {
  std::uint32_t width = 1, height = 1;
  int depth = 8, color = 0, interlace = 0;
};
std::string png_chunk(const std::string& type, const std::string& data);
std::string png_of(const PngHead& head, const std::string& rows, const std::string& chunks = "");
std::string png_with(const std::string& chunks);

}  // namespace switchyard::io

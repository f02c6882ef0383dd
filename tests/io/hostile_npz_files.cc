#include "hostile.h"
#include "torch_builder.h"

namespace switchyard::io {

using build::le, build::zip, build::ZipPart;

namespace {

const std::string kMagic("\x93NUMPY\x01\0", 8);

std::string archive(const std::vector<ZipPart>& parts) {
  std::vector<ZipPart> packed = parts;
  for (ZipPart& part : packed) part.alignment = 1;  // libzip looks into the padding
  return zip(packed, /*zip64=*/false);
}

}  // namespace

std::string npy_header(const std::string& dtype, const std::string& shape) {
  return "{'descr': '" + dtype + "', 'fortran_order': False, 'shape': (" + shape + "), }\n";
}

std::string npy_of(const std::string& header, const std::string& data) {
  return kMagic + le(header.size(), 2) + header + data;
}

std::string npz_of(const std::string& header, const std::string& data) {
  return archive({{"a.npy", npy_of(header, data)}});
}

std::vector<Hostile> hostile_npz_files() {
  const std::string good = npy_of(npy_header("|u1", "2,"), "ab");
  const std::string deflated("\x03\0", 2);  // a deflate stream of no bytes
  std::string four_gib =
      archive({{.name = "a.npy", .data = deflated, .size = 0xFFFFFFF0, .stored = 2, .method = 8}});
  four_gib.replace(22, 4, le(0xFFFFFFF0, 4));  // in its own header too
  std::string dimensions;
  for (int i = 0; i < 65; ++i) dimensions += "1,";
  const auto shape = [](const std::string& sizes) { return npz_of(npy_header("|u1", sizes), "ab"); };
  return {
      {"empty", "", "found an empty file"},
      {"text", "hello", "cannot be read as zip"},
      {"another name", archive({{"a.txt", good}}), "expected a name that ends with .npy"},
      {"array twice", archive({{"a.npy", good}, {"a.npy", good}}), "cannot be read as zip"},
      {"bzip2", archive({{.name = "a.npy", .data = good, .method = 12}}), "found compression method 12"},
      {"encrypted", archive({{.name = "a.npy", .data = good, .flags = 1}}), "cannot be opened: No password"},
      {"4 GiB in two bytes", four_gib, "2 bytes cannot hold 4294967280"},
      {"not deflated", archive({{.name = "a.npy", .data = good, .method = 8}}), "damaged zip entry"},
      {"another checksum", archive({{.name = "a.npy", .data = good, .crc = 1}}), "cannot be read as zip"},
      {"no header", archive({{"a.npy", "x"}}), "ends 7 bytes early"},
      {"another magic", archive({{"a.npy", std::string(10, 'x')}}), "expected a .npy file of version 1.0"},
      {"version 4", archive({{"a.npy", "\x93NUMPY\x04" + std::string(4, '\0')}}), "version 1.0, 2.0 or 3.0"},
      {"header of 4 GiB", archive({{"a.npy", "\x93NUMPY\x02" + std::string(1, '\0') + le(0xFFFFFFFF, 4)}}),
       "at most 4096 bytes, found 4294967295"},
      {"long header", archive({{"a.npy", kMagic + le(4097, 2)}}), "at most 4096 bytes, found 4097"},
      {"header cut off", archive({{"a.npy", kMagic + le(9, 2) + "x"}}), "ends 8 bytes early"},
      {"no dictionary", npz_of("[]", ""), "expected an array of numbers, found \"[]\""},
      {"no order", npz_of("{'descr': '|u1', 'fortran_order': Maybe, 'shape': (2,), }", "ab"),
       "expected an array of numbers"},
      {"header that goes on", npz_of(npy_header("|u1", "2,") + "x", "ab"), "expected an array of numbers"},
      {"control characters", npz_of("\x1b[31m", ""), "\\u001b[31m"},
      {"structure", npz_of("{'descr': [('x', '<f4')], 'fortran_order': False, 'shape': (2,), }", "ab"),
       "expected an array of numbers"},
      {"big-endian bytes", npz_of(npy_header(">u1", ""), "a"), "unsupported dtype \">u1\""},
      {"object", npz_of(npy_header("|O", ""), "abcdefgh"), "unsupported dtype \"|O\""},
      {"size of words", shape("two"), "expected a shape, found \"two\""},
      {"negative size", shape("-1"), "expected a shape"},
      {"sizes without a comma", shape("1 2"), "expected a shape"},
      {"only a comma", shape(","), "expected a shape"},
      {"size beyond 64 bits", shape("2, 99999999999999999999"), "expected a shape"},
      {"65 dimensions", npz_of(npy_header("|u1", dimensions), "a"), "at most 64 dimensions, found 65"},
      {"too many bytes", shape("1099511627777"), "at most 1 TiB"},
      {"more bytes than there are", shape("4294967297"), "expected 4294967297 bytes for its shape, found 2"},
      {"sizes that overflow", shape("4294967296, 4294967296"), "at most 1 TiB"},
      {"sizes that overflow beside a zero", shape("0, 1099511627776, 2"), "at most 1 TiB"},
      {"more than the shape", shape("1,"), "expected 1 bytes for its shape, found 2"},
      {"fewer than the shape", shape("3,"), "expected 3 bytes for its shape, found 2"},
      {"bool of two", npz_of(npy_header("|b1", "2,"), "\x01\x02"), "expected bytes 0 and 1 for bool"},
  };
}

}  // namespace switchyard::io

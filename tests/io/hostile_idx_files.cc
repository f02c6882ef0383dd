#include <zlib.h>

#include "hostile.h"
#include "torch_builder.h"

namespace switchyard::io {

std::string idx_of(const std::vector<std::uint32_t>& sizes, const std::string& data) {
  std::string file("\0\0\x08", 3);
  file += static_cast<char>(sizes.size());
  for (const std::uint32_t size : sizes) {
    const std::string little = build::le(size, 4);
    file.append(little.rbegin(), little.rend());
  }
  return file + data;
}

std::string gzip(const std::string& bytes) {
  z_stream stream = {};
  ::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(::deflateBound(&stream, bytes.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::vector<Hostile> hostile_idx_files() {
  using namespace std::string_literals;
  const std::string good = idx_of({2, 3}, "abcdef"), packed = gzip(good);
  std::string other_checksum = packed;
  other_checksum[packed.size() - 8] ^= 1;
  std::string other_method = packed;
  other_method[2] = 9;
  std::string not_deflated = packed.substr(0, 10), zip = "PK\3\4";
  not_deflated.append(30, '\xff');
  zip.append(30, '\0');
  return {
      {"empty", "", "ends 4 bytes early"},
      {"text", "hello", "expected an IDX file, which begins with two zeros"},
      {"floats", "\0\0\x0d\1\0\0\0\1abcd"s, "expected an IDX file of unsigned bytes (type 8), found type 13"},
      {"no dimensions", "\0\0\x08\0a"s, "expected 1 to 8 dimensions, found 0"},
      {"9 dimensions", idx_of({1, 1, 1, 1, 1, 1, 1, 1, 1}, "a"), "expected 1 to 8 dimensions, found 9"},
      {"sizes cut off", good.substr(0, 10), "ends 2 bytes early"},
      {"a size of 0", idx_of({2, 0}, ""), "expected sizes above 0, found 0 in dimension 1"},
      {"sizes beyond 4 GiB", idx_of({65'536, 65'537}, ""), "expected at most 4 GiB"},
      {"sizes that overflow", idx_of({4'294'967'295, 4'294'967'295, 4'294'967'295}, ""),
       "expected at most 4 GiB"},
      {"4 GiB in a few bytes", idx_of({65'536, 65'536}, "a"), "cannot hold the 4294967296"},
      {"4 GiB in a few packed bytes", gzip(idx_of({65'536, 65'536}, "a")), "cannot hold the 4294967296"},
      {"fewer bytes than told", good.substr(0, good.size() - 1), "ends 1 bytes early"},
      {"more bytes than told", good + "g", "expected its end after the array, found more bytes"},
      {"fewer packed bytes than told", gzip(good.substr(0, good.size() - 1)), "ends 1 bytes early"},
      {"more packed bytes than told", gzip(good + "g"), "expected its end after the array, found more bytes"},
      {"bytes after the packed ones", packed + "g", "expected its end after the array, found more bytes"},
      {"packed bytes cut off", packed.substr(0, packed.size() - 9), "damaged gzip file: ends early"},
      {"no checksum", packed.substr(0, packed.size() - 8), "damaged gzip file: ends early"},
      {"another checksum", other_checksum, "damaged gzip file: incorrect data check"},
      {"another method", other_method, "damaged gzip file: unknown compression method"},
      {"gzip's first bytes alone", packed.substr(0, 2), "damaged gzip file: ends early"},
      {"not deflated", not_deflated, "damaged gzip file: invalid block type"},
      {"a zip archive", zip, "which begins with two zeros"},
  };
}

}  // namespace switchyard::io

#include <cstdint>

#include "hostile.h"

namespace switchyard::io {
namespace {

std::string tensor(const char* fields) { return std::string(R"({"w":{)") + fields + "}}"; }

}  // namespace

std::string with_header(const std::string& header, std::size_t data) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(std::uint64_t{header.size()} >> (8 * i));
  return bytes + header + std::string(data, '\0');
}

std::vector<Hostile> hostile_safetensors() {
  const std::string huge(7, '\0');
  std::string deep = with_header(R"({"w":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  std::string long_name = with_header("{\"" + std::string(100'000, 'n') + R"(":1})");
  std::string many_dimensions = R"("dtype":"U8","data_offsets":[0,1],"shape":[1)";
  for (int i = 0; i < 64; ++i) many_dimensions += ",1";
  std::string bool_two = with_header(tensor(R"("dtype":"BOOL","shape":[2],"data_offsets":[0,2])"), 2);
  bool_two.back() = '\2';
  return {
      {"empty file", "", "at least 8 bytes, found 0"},
      {"seven bytes", huge, "at least 8 bytes, found 7"},
      {"no header", std::string(8, '\0'), "start with '{'"},
      {"header beyond the file", std::string("\x10", 1) + huge + "{}", "header of 16 bytes, found only 2"},
      {"header of 2^64-1 bytes", std::string(8, '\xff') + "{}", "at most 100000000 bytes"},
      {"header of 100000001 bytes", std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10), "at most 100000000 bytes"},
      {"another format", "PK\x03\x04 and so on, not a tensor file", "not a safetensors file?"},
      {"not JSON", with_header("{]"), "syntax error at its byte 2"},
      {"JSON ends early", with_header(R"({"w":{"dtype")"), "syntax error"},
      {"JSON goes on", with_header("{}{}"), "syntax error"},
      {"comment", with_header("{/**/}"), "syntax error"},
      {"NUL padding", with_header(std::string("{}\0\0", 4)), "found a NUL byte"},
      {"byte order mark", with_header("\xef\xbb\xbf{}"), "start with '{'"},
      {"space before the object", with_header(" {}"), "start with '{'"},
      {"list", with_header("[]"), "start with '{'"},
      {"not UTF-8", with_header("{\"\xff\":{}}"), "UTF-8"},
      {"overlong UTF-8", with_header("{\"\xc0\xaf\":{}}"), "UTF-8"},
      {"number out of range", with_header(tensor(R"("dtype":"U8","shape":[1e999],"data_offsets":[0,1])"), 1),
       "out of range"},
      {"deep nesting", deep, "deeper nesting"},
      {"long name", long_name, "expected an object, found 1"},
      {"tensor is a number", with_header(R"({"w":1})"), "tensor \"w\": expected an object"},
      {"tensor is null", with_header(R"({"w":null})"), "tensor \"w\": expected an object"},
      {"no dtype", with_header(tensor(R"("shape":[1],"data_offsets":[0,1])"), 1), "dtype is missing"},
      {"no shape", with_header(tensor(R"("dtype":"U8","data_offsets":[0,1])"), 1), "shape is missing"},
      {"no offsets", with_header(tensor(R"("dtype":"U8","shape":[1])"), 1), "data_offsets is missing"},
      {"extra field", with_header(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1],"x":0)"), 1),
       "found the field \"x\""},
      {"unknown dtype", with_header(tensor(R"("dtype":"F3","shape":[1],"data_offsets":[0,1])"), 1),
       "found \"F3\""},
      {"half a byte", with_header(tensor(R"("dtype":"F4","shape":[1],"data_offsets":[0,1])"), 1),
       "rows of whole bytes for F4, found [1]"},
      {"rows of half a byte", with_header(tensor(R"("dtype":"F4","shape":[2,3],"data_offsets":[0,3])"), 3),
       "rows of whole bytes for F4, found [2,3]"},
      {"one packed element", with_header(tensor(R"("dtype":"F6_E2M3","shape":[],"data_offsets":[0,0])")),
       "rows of whole bytes for F6_E2M3, found []"},
      {"dtype in lower case", with_header(tensor(R"("dtype":"f32","shape":[1],"data_offsets":[0,4])"), 4),
       "found \"f32\""},
      {"dtype is a number", with_header(tensor(R"("dtype":32,"shape":[1],"data_offsets":[0,4])"), 4),
       "dtype: expected one of"},
      {"shape is a number", with_header(tensor(R"("dtype":"U8","shape":1,"data_offsets":[0,1])"), 1),
       "non-negative integers, found 1"},
      {"negative size", with_header(tensor(R"("dtype":"U8","shape":[-1],"data_offsets":[0,1])"), 1),
       "found [-1]"},
      {"fractional size", with_header(tensor(R"("dtype":"U8","shape":[1.0],"data_offsets":[0,1])"), 1),
       "found [1.0]"},
      {"size is a string", with_header(tensor(R"("dtype":"U8","shape":["1"],"data_offsets":[0,1])"), 1),
       "non-negative integers"},
      {"size beyond 64 bits",
       with_header(tensor(R"("dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1])"), 1),
       "non-negative integers"},
      {"size beyond 63 bits",
       with_header(tensor(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1])"), 1),
       "2^63 - 1"},
      {"product overflows to 0",
       with_header(tensor(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])")),
       "2^63 - 1"},
      {"product overflows to 1",
       with_header(tensor(R"("dtype":"U8","shape":[4294967297,18446744069414584321],"data_offsets":[0,1])"),
                   1),
       "2^63 - 1"},
      {"bytes overflow",
       with_header(tensor(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])")),
       "2^63 - 1"},
      {"zero hides an overflow",
       with_header(tensor(R"("dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0])")),
       "2^63 - 1"},
      {"too many dimensions", with_header(tensor((many_dimensions + "]").c_str()), 1),
       "at most 64 dimensions, found 65"},
      {"one offset", with_header(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0])"), 1),
       "data_offsets: expected [begin, end]"},
      {"three offsets", with_header(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[0,1,1])"), 1),
       "data_offsets: expected [begin, end]"},
      {"negative offset", with_header(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[-1,0])"), 1),
       "found [-1,0]"},
      {"end before begin", with_header(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[1,0])"), 1),
       "begin <= end, found [1,0]"},
      {"fewer bytes than the shape",
       with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,7])"), 7),
       "expected 8 bytes for F32 [2], found 7"},
      {"more bytes than the shape",
       with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,9])"), 9),
       "expected 8 bytes for F32 [2], found 9"},
      {"data cut off", with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 7),
       "only 7 bytes follow the header"},
      {"trailing bytes", with_header(tensor(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 9),
       "1 bytes after the last tensor"},
      {"trailing bytes, no tensor", with_header("{}", 3), "3 bytes after the last tensor"},
      {"hole at the front", with_header(tensor(R"("dtype":"U8","shape":[1],"data_offsets":[1,2])"), 2),
       "found 1 (hole)"},
      {"hole in the middle",
       with_header(
           R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
           3),
       "tensor \"b\": data_offsets: expected to begin at 1"},
      {"overlap",
       with_header(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
           3),
       "found 1 (overlap)"},
      {"same bytes twice",
       with_header(
           R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
           2),
       "found 0 (overlap)"},
      {"empty tensor outside", with_header(tensor(R"("dtype":"U8","shape":[0],"data_offsets":[9,9])")),
       "found 9 (hole)"},
      {"tensor twice",
       with_header(
           R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
           1),
       "key \"w\" appears twice"},
      {"dtype twice", with_header(tensor(R"("dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1])"), 1),
       "key \"dtype\" appears twice"},
      {"metadata twice", with_header(R"({"__metadata__":{},"__metadata__":{}})"),
       "key \"__metadata__\" appears twice"},
      {"key twice in metadata", with_header(R"({"__metadata__":{"k":"1","k":"2"}})"),
       "key \"k\" appears twice"},
      {"metadata is a string", with_header(R"({"__metadata__":"x"})"), "__metadata__: expected an object"},
      {"metadata holds a number", with_header(R"({"__metadata__":{"k":1}})"),
       "__metadata__: expected a string for \"k\", found 1"},
      {"metadata holds null", with_header(R"({"__metadata__":{"k":null}})"), "found null"},
      {"bool of two", bool_two, "0 and 1 for BOOL, found 2"},
  };
}

}  // namespace switchyard::io

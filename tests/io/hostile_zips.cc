#include <cstdint>

#include "hostile.h"
#include "torch_builder.h"

namespace switchyard::io {

using build::le, build::zip;

std::vector<Hostile> hostile_zips() {
  const std::string good = zip({{"a", "hello"}, {"b", "world"}});
  const std::string plain = zip({{"a", "hello"}}, false);
  const auto changed = [](const std::string& text, std::size_t at, const std::string& to) {
    return text.substr(0, at).append(to).append(text, at + to.size());
  };
  const std::size_t end = good.size() - 22, locator = end - 20, record = locator - 56;
  const std::size_t central = good.find("PK\x01\x02");
  const std::string zip64_field =
      le(1, 2) + le(24, 2) + le(std::uint64_t{1} << 62, 8) + le(std::uint64_t{1} << 62, 8) + le(0, 8);
  return {
      {"empty", "", "end record"},
      {"21 bytes", std::string(21, '\0'), "end record"},
      {"no end record", good.substr(0, end), "end record"},
      {"trailing bytes", good + "x", "end record"},
      {"comment", changed(good, good.size() - 2, le(1, 2)) + "x", "end record"},
      {"bytes before the archive", "MZ" + plain, "to fill the bytes"},
      {"several disks", changed(good, end + 4, le(1, 2)), "on one disk"},
      {"directory beyond the file", changed(plain, plain.size() - 6, le(0xFFFFFFF0, 4)), "to fill the bytes"},
      {"directory of another size", changed(plain, plain.size() - 10, le(3, 4)), "to fill the bytes"},
      {"65,534 entries",
       changed(changed(plain, plain.size() - 14, le(65534, 2)), plain.size() - 12, le(65534, 2)),
       "expected at most 1 entries"},
      {"fewer entries than told",
       changed(changed(plain, plain.size() - 14, le(0, 2)), plain.size() - 12, le(0, 2)), "bytes more"},
      {"2^60 entries in zip64",
       changed(changed(changed(good, record + 24, le(1ull << 60, 8)), record + 32, le(1ull << 60, 8)),
               end + 8, le(0xFFFF, 2) + le(0xFFFF, 2)),
       "expected at most 2 entries"},
      {"end records that differ", changed(good, record + 48, le(7, 8)), "the same directory"},
      {"zip64 record elsewhere", changed(good, locator + 8, le(0, 8)), "right before its locator"},
      {"zip64 record beyond the file", changed(good, locator + 8, std::string(8, '\xff')),
       "right before its locator"},
      {"directory entry that is none", changed(good, central, "XX"), "expected entry 0 of the zip directory"},
      {"name longer than the directory", changed(plain, plain.find("PK\x01\x02") + 28, le(0xFFFF, 2)),
       "found it to be longer"},
      {"encrypted", zip({{.name = "a", .data = "x", .flags = 1}}), "expected a plain entry"},
      {"deflated", zip({{.name = "a", .data = "x", .method = 8}}), "compression method 8"},
      {"zip bomb", zip({{.name = "a", .data = "x", .size = 0xFFFFFFF0, .method = 8}}),
       "compression method 8"},
      {"larger than stored", zip({{.name = "a", .data = "x", .size = 2}}), "found 1 for 2"},
      {"beyond the directory", zip({{.name = "a", .data = "x", .size = 1000, .stored = 1000}}),
       "expected 1000 bytes of data before the directory"},
      {"2^62 bytes in zip64",
       zip({{.name = "a",
             .data = "x",
             .size = 0xFFFFFFFF,
             .stored = 0xFFFFFFFF,
             .header = 0xFFFFFFFF,
             .extra = zip64_field}}),
       "expected 4611686018427387904 bytes of data"},
      {"zip64 field that is too short",
       zip({{.name = "a",
             .data = "x",
             .size = 0xFFFFFFFF,
             .stored = 0xFFFFFFFF,
             .extra = le(1, 2) + le(8, 2) + le(1, 8)}}),
       "zip64 field is too short"},
      {"sizes for zip64 without the field",
       zip({{.name = "a", .data = "x", .size = 0xFFFFFFFF, .stored = 0xFFFFFFFF}}),
       "expected 4294967295 bytes"},
      {"header beyond the file", zip({{.name = "a", .data = "x", .header = 0x7FFFFFFF}}),
       "expected its header"},
      {"header inside the data", zip({{.name = "a", .data = "x", .header = 3}}), "expected its header"},
      {"another name in its header", zip({{.name = "a", .data = "x", .local_name = "b"}}), "the same name"},
      {"another size in its header", changed(zip({{"a", "xy"}}), 22, le(3, 4)), "in its own header"},
      {"other flags in its header", changed(zip({{"a", "xy"}}), 6, le(2, 2)), "other flags"},
      {"entry twice", zip({{"a", "x"}, {"b", "y"}, {"a", "z"}}), "appears twice"},
      {"two entries on the same bytes", zip({{"a", "x"}, {.name = "a", .data = "x", .header = 0}}),
       "(overlap)"},
      {"hole", changed(zip({{"a", "xy"}, {"b", "x"}}), 28, le(0, 2)), "(hole)"},
      {"sizes that should follow but do not", zip({{.name = "a", .data = "x", .flags = 8}}),
       "repeat its size"},
  };
}

}  // namespace switchyard::io

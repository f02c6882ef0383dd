// Stored zip archives: entries that lie inside the file, apart from each other, each found by its name.
#include <algorithm>
#include <cstdint>

#include "../io/torch_builder.h"
#include "io/error.h"
#include "io/stored_zip.h"
#include "readers.h"

namespace switchyard::fuzz {

bool fuzz_stored_zip(Bytes bytes) {
  std::vector<std::byte> file(bytes.begin(), bytes.end());
  io::MemoryBudget budget(file.size(), "fuzz");
  std::vector<io::ZipEntry> entries;
  try {
    entries = io::read_stored_zip(file, "fuzz", budget);
  } catch (const io::InputError&) {
    return false;
  }
  for (const io::ZipEntry& entry : entries) {
    require(io::find_entry(entries, entry.name) == &entry, "another entry of this name");
    require(entry.begin <= file.size() && entry.size <= file.size() - entry.begin,
            "an entry beyond the file");
    try {
      const auto data = io::checked_data(file, entry, "fuzz");
      touch(data.data(), data.size());
    } catch (const io::InputError&) {
    }
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.header < b.header; });
  for (std::size_t i = 1; i < entries.size(); ++i)
    require(entries[i - 1].begin + entries[i - 1].size <= entries[i].header, "entries that overlap");
  return true;
}

std::vector<std::string> stored_zip_seeds() {
  using namespace io::build;
  const auto compact = [](std::vector<ZipPart> parts, bool zip64 = false) {
    for (ZipPart& part : parts) part.alignment = 1;
    return zip(parts, zip64);
  };
  std::vector<std::string> seeds = {compact({}), compact({}, true),
                                    compact({{"a", "hello"}, {"b/c", ""}}, true)};
  const ZipPart wide{
      .name = "a",
      .data = "hello",
      .size = 0xFFFFFFFF,
      .stored = 0xFFFFFFFF,
      .header = 0xFFFFFFFF,
      .extra = le(0x4246, 2) + le(2, 2) + "xx" + le(1, 2) + le(24, 2) + le(5, 8) + le(5, 8) + le(0, 8)};
  seeds.push_back(compact({wide}, true));
  // Sizes that follow the data, in the four ways that there are: with a signature or not, in 4 or 8 bytes.
  for (const bool is_signed : {false, true}) {
    for (const int width : {4, 8}) {
      const std::string data = "hello", descriptor = (is_signed ? "PK\x07\x08"s : ""s) + le(0x3610a686, 4) +
                                                     le(5, width) + le(5, width);
      std::string file = compact(
          {{.name = "a", .data = data + descriptor, .size = 5, .stored = 5, .crc = 0x3610a686, .flags = 8}});
      seeds.push_back(file);
    }
  }
  append(seeds, io::hostile_zips());
  return seeds;
}

}  // namespace switchyard::fuzz

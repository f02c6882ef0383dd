// Zip archives whose entries are stored, not compressed: where each entry's bytes lie in the file.
//
// Strict, because what torch.save writes is: one disk, no comment, no encryption, every entry inside the file
// before the central directory, none overlapping another, no name twice, the local headers' names equal to
// the directory's. Zip64 is understood. Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/memory_budget.h"

namespace switchyard::io {

struct ZipEntry {
  std::string_view name;              // points into the file
  std::uint64_t header = 0;           // of the local header in the file
  std::uint64_t begin = 0, size = 0;  // of the data in the file
  std::uint32_t crc = 0;              // CRC-32 of the data as the directory tells it: not compared
};

// Sorted by name. `file` names the archive in messages. InputError: not such an archive.
std::vector<ZipEntry> read_stored_zip(std::span<const std::byte> bytes, const std::string& file,
                                      MemoryBudget& budget);

// nullptr where there is none of this name.
const ZipEntry* find_entry(const std::vector<ZipEntry>& sorted, std::string_view name);

}  // namespace switchyard::io

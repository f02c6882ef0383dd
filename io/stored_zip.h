// Zip archives whose entries are stored, not compressed: where each entry's bytes lie in the file.
//
// Strict, because what torch.save writes is: one disk, no comment, no encryption, the entries in a row from
// the first byte to the directory without holes or overlap, no name twice, the local headers equal to the
// directory. Zip64 is understood. Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
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
  bool has_descriptor = false;        // its checksum and sizes follow the data once more
  std::uint32_t crc = 0;  // CRC-32 of the data as the directory tells it; torch.save can leave it 0
};

// Sorted by name. `file` names the archive in messages. InputError: not such an archive.
std::vector<ZipEntry> read_stored_zip(std::span<const std::byte> bytes, const std::string& file,
                                      MemoryBudget& budget);

// The entry's bytes, compared with its CRC-32 unless that is 0. InputError: they differ.
std::span<std::byte> checked_data(std::span<std::byte> bytes, const ZipEntry& entry, const std::string& file);

// nullptr where there is none of this name.
const ZipEntry* find_entry(const std::vector<ZipEntry>& sorted, std::string_view name);

}  // namespace switchyard::io

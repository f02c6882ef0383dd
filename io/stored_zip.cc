#include "io/stored_zip.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "io/error.h"
#include "io/text.h"

namespace switchyard::io {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50,
                        kLocator64 = 0x07064b50;
constexpr std::uint64_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                        kLocator64Size = 20;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // the value is in the zip64 field
constexpr std::uint32_t kSizesFollow = 1 << 3, kUtf8 = 1 << 11;

// Little-endian numbers.
class Bytes {
 public:
  Bytes(std::span<const std::byte> bytes, std::string file) : bytes_(bytes), file_(std::move(file)) {}

  std::uint64_t size() const { return bytes_.size(); }

  [[noreturn]] void fail(const std::string& what) const { throw InputError(file_ + ": " + what); }

  // The caller knows these bytes to be in the file.
  template <class T>
  T number(std::uint64_t offset) const {
    static_assert(std::endian::native == std::endian::little);
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }
  std::uint64_t u16(std::uint64_t offset) const { return number<std::uint16_t>(offset); }
  std::uint32_t u32(std::uint64_t offset) const { return number<std::uint32_t>(offset); }
  std::uint64_t u64(std::uint64_t offset) const { return number<std::uint64_t>(offset); }

  std::string_view text(std::uint64_t offset, std::uint64_t size) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + offset, size};
  }

 private:
  std::span<const std::byte> bytes_;
  std::string file_;
};

struct Directory {
  std::uint64_t begin, end, entries;
};

// The end record is the file's last 22 bytes, a zip64 locator and record right before it where there are any.
Directory find_directory(const Bytes& file) {
  if (file.size() < kEndSize || file.u32(file.size() - kEndSize) != kEnd || file.u16(file.size() - 2) != 0)
    file.fail("expected a zip archive's end record as the last 22 bytes, found none (truncated file?)");
  const std::uint64_t end = file.size() - kEndSize;
  if (file.u32(end + 4) != 0 || file.u16(end + 8) != file.u16(end + 10))
    file.fail("expected a zip archive on one disk, found several");
  Directory directory{file.u32(end + 16), end, file.u16(end + 10)};
  std::uint64_t size = file.u32(end + 12);

  if (end >= kLocator64Size + kEnd64Size && file.u32(end - kLocator64Size) == kLocator64) {
    const std::uint64_t record = file.u64(end - kLocator64Size + 8);
    if (record != end - kLocator64Size - kEnd64Size || file.u32(record) != kEnd64)
      file.fail("expected the zip64 end record right before its locator, found it elsewhere");
    if (file.u32(record + 16) != 0 || file.u32(record + 20) != 0 ||
        file.u64(record + 24) != file.u64(record + 32))
      file.fail("expected a zip archive on one disk, found several");
    const auto differs = [](std::uint64_t narrow, std::uint64_t unknown, std::uint64_t wide) {
      return narrow != unknown && narrow != wide;
    };
    if (differs(directory.entries, 0xFFFF, file.u64(record + 32)) ||
        differs(size, kIn64, file.u64(record + 40)) || differs(directory.begin, kIn64, file.u64(record + 48)))
      file.fail("expected the same directory in both end records of the zip archive, found two");
    directory = {file.u64(record + 48), record, file.u64(record + 32)};
    size = file.u64(record + 40);
  }
  if (directory.begin > directory.end || size != directory.end - directory.begin)
    file.fail("expected the zip directory to fill the bytes before the end record, found " +
              std::to_string(size) + " bytes at " + std::to_string(directory.begin));
  if (directory.entries > size / kCentralSize)
    file.fail("expected at most " + std::to_string(size / kCentralSize) + " entries in " +
              std::to_string(size) + " bytes of zip directory, found " + std::to_string(directory.entries));
  return directory;
}

// Replaces those of the values that say so by the zip64 field's, which come in this order.
void apply_zip64(const Bytes& file, std::uint64_t extra, std::uint64_t extra_size, std::uint64_t& size,
                 std::uint64_t& stored, std::uint64_t& header) {
  if (size != kIn64 && stored != kIn64 && header != kIn64) return;
  for (const std::uint64_t end = extra + extra_size; end - extra >= 4;) {
    const std::uint64_t kind = file.u16(extra), length = file.u16(extra + 2);
    extra += 4;
    if (length > end - extra) break;
    if (kind == 1) {
      std::uint64_t next = extra;
      for (std::uint64_t* value : {&size, &stored, &header}) {
        if (*value != kIn64) continue;
        if (next + 8 > extra + length) file.fail("zip directory: a zip64 field is too short");
        *value = file.u64(next);
        next += 8;
      }
      return;
    }
    extra += length;
  }
  // Without the field, 0xFFFFFFFF is the value itself: the file is then too small for it.
}

ZipEntry read_local(const Bytes& file, ZipEntry entry, std::uint64_t flags, std::uint64_t limit) {
  const auto fail = [&](const std::string& what) {
    file.fail("zip entry " + quote(entry.name) + ": " + what);
  };
  if (entry.header > limit || kLocalSize > limit - entry.header || file.u32(entry.header) != kLocal)
    fail("expected its header at " + std::to_string(entry.header) + ", found none there");
  const std::uint64_t name_size = file.u16(entry.header + 26), extra_size = file.u16(entry.header + 28);
  const std::uint64_t rest = limit - entry.header - kLocalSize;
  if (name_size + extra_size > rest || entry.size > rest - name_size - extra_size)
    fail("expected " + std::to_string(entry.size) + " bytes of data before the directory at " +
         std::to_string(limit) + ", found fewer");
  if (file.text(entry.header + kLocalSize, name_size) != entry.name)
    fail("expected the same name in its own header, found " +
         quote(file.text(entry.header + kLocalSize, name_size)));
  if (file.u16(entry.header + 6) != flags || file.u16(entry.header + 8) != 0)
    fail("expected its own header to agree with the directory, found other flags");
  for (const std::uint64_t field : {entry.header + 18, entry.header + 22}) {
    const std::uint32_t told = file.u32(field);
    if ((flags & kSizesFollow) == 0 && told != kIn64 && told != entry.size)
      fail("expected " + std::to_string(entry.size) + " bytes as the directory says, found " +
           std::to_string(told) + " in its own header");
  }
  entry.begin = entry.header + kLocalSize + name_size + extra_size;
  return entry;
}

void check_overlap(std::vector<ZipEntry>& entries, const Bytes& file) {
  std::sort(entries.begin(), entries.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.header < b.header; });
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (entries[i].header < entries[i - 1].begin + entries[i - 1].size)
      file.fail("zip entry " + quote(entries[i].name) + ": overlaps " + quote(entries[i - 1].name));
  std::sort(entries.begin(), entries.end(),
            [](const ZipEntry& a, const ZipEntry& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < entries.size(); ++i)
    if (entries[i].name == entries[i - 1].name)
      file.fail("zip entry " + quote(entries[i].name) + ": appears twice");
}

}  // namespace

std::vector<ZipEntry> read_stored_zip(std::span<const std::byte> bytes, const std::string& name,
                                      MemoryBudget& budget) {
  const Bytes file(bytes, name);
  const Directory directory = find_directory(file);
  std::vector<ZipEntry> entries;
  budget.reserve(entries, directory.entries, "zip entries");
  std::uint64_t at = directory.begin;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    const std::uint64_t left = directory.end - at;
    if (left < kCentralSize || file.u32(at) != kCentral)
      file.fail("expected entry " + std::to_string(i) + " of the zip directory at " + std::to_string(at) +
                ", found none");
    const std::uint64_t flags = file.u16(at + 8), method = file.u16(at + 10);
    const std::uint64_t name_size = file.u16(at + 28), extra_size = file.u16(at + 30),
                        comment_size = file.u16(at + 32);
    if (name_size + extra_size + comment_size > left - kCentralSize)
      file.fail("expected entry " + std::to_string(i) + " of the zip directory to end before " +
                std::to_string(directory.end) + ", found it to be longer");
    ZipEntry entry{file.text(at + kCentralSize, name_size), file.u32(at + 42), 0, file.u32(at + 24),
                   file.u32(at + 16)};
    const auto fail = [&](const std::string& what) {
      file.fail("zip entry " + quote(entry.name) + ": " + what);
    };
    if ((flags & ~std::uint64_t{kSizesFollow | kUtf8}) != 0)
      fail("expected a plain entry, found flags " + std::to_string(flags) + " (encrypted?)");
    if (method != 0)
      fail("expected a stored entry as torch.save writes it, found compression method " +
           std::to_string(method));
    std::uint64_t stored = file.u32(at + 20);
    apply_zip64(file, at + kCentralSize + name_size, extra_size, entry.size, stored, entry.header);
    if (stored != entry.size)
      fail("expected as many bytes stored as it holds, found " + std::to_string(stored) + " for " +
           std::to_string(entry.size));
    if (file.u16(at + 34) != 0) fail("expected a zip archive on one disk, found several");
    entries.push_back(read_local(file, entry, flags, directory.begin));
    at += kCentralSize + name_size + extra_size + comment_size;
  }
  if (at != directory.end)
    file.fail("expected the zip directory to hold " + std::to_string(directory.entries) +
              " entries and nothing else, found " + std::to_string(directory.end - at) + " bytes more");
  check_overlap(entries, file);
  return entries;
}

const ZipEntry* find_entry(const std::vector<ZipEntry>& sorted, std::string_view name) {
  const auto at =
      std::lower_bound(sorted.begin(), sorted.end(), name,
                       [](const ZipEntry& entry, std::string_view key) { return entry.name < key; });
  return at != sorted.end() && at->name == name ? &*at : nullptr;
}

}  // namespace switchyard::io

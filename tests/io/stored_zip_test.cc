#include "io/stored_zip.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "hostile.h"
#include "io/error.h"
#include "scratch.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

using build::le, build::zip, build::ZipPart;

std::vector<ZipEntry> parse(const std::string& bytes) {
  MemoryBudget budget(bytes.size(), "file.zip");
  return read_stored_zip(std::as_bytes(std::span(bytes)), "file.zip", budget);
}

TEST(StoredZipTest, FindsTheDataOfEveryEntry) {
  for (const bool zip64 : {false, true}) {
    const std::string bytes = zip({{"b/data", "hello"}, {"a", ""}, {"c", std::string(1000, 'x')}}, zip64);
    const auto entries = parse(bytes);
    ASSERT_EQ(entries.size(), 3u);
    const ZipEntry* entry = find_entry(entries, "b/data");
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(bytes.substr(entry->begin, entry->size), "hello");
    EXPECT_EQ(find_entry(entries, "a")->size, 0u);
    EXPECT_EQ(find_entry(entries, "b"), nullptr);
    EXPECT_EQ(find_entry(entries, "d"), nullptr);
  }
}

TEST(StoredZipTest, Zip64SizesAreUsed) {
  const ZipPart part{
      .name = "a",
      .data = "hello",
      .size = 0xFFFFFFFF,
      .stored = 0xFFFFFFFF,
      .header = 0xFFFFFFFF,
      .extra = le(0x4246, 2) + le(2, 2) + "xx" + le(1, 2) + le(24, 2) + le(5, 8) + le(5, 8) + le(0, 8)};
  const std::string bytes = zip({part});
  const auto entries = parse(bytes);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(bytes.substr(entries[0].begin, entries[0].size), "hello");
}

TEST(StoredZipTest, ChecksumsAreComparedUnlessTheyAreZero) {
  for (const auto& [crc, ok] : {std::pair{0u, true}, std::pair{1u, false}}) {
    std::string bytes = zip({{.name = "a", .data = "hello", .crc = crc}});
    const auto entries = parse(bytes);
    const auto data = std::as_writable_bytes(std::span(bytes));
    if (ok)
      EXPECT_EQ(checked_data(data, entries[0], "file.zip").size(), 5u);
    else
      EXPECT_THROW(checked_data(data, entries[0], "file.zip"), InputError);
  }
}

TEST(StoredZipTest, HostileFilesAreRefusedWithAReason) {
  for (const Hostile& hostile : hostile_zips()) {
    SCOPED_TRACE(hostile.what);
    const std::string message = message_of<InputError>([&] { parse(hostile.bytes); });
    EXPECT_TRUE(message.starts_with("file.zip: ")) << message;
    EXPECT_TRUE(contains(message, hostile.message));
    EXPECT_LT(message.size(), 600u);
  }
}

}  // namespace
}  // namespace switchyard::io

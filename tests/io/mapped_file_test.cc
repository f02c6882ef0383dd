#include "io/mapped_file.h"

#include <sys/stat.h>

#include <string>

#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

using MappedFileTest = Scratch;

TEST_F(MappedFileTest, HoldsTheBytesOfFilesOfAnySize) {
  for (const std::size_t size : {0, 1, 4095, 4096, 4097}) {
    const std::string text(size, 'x');
    const MappedFile mapped(put("a", text));
    ASSERT_EQ(mapped.bytes().size(), size);
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(mapped.bytes().data()), size), text);
  }
}

TEST_F(MappedFileTest, WritingToTheBytesDoesNotChangeTheFile) {
  const MappedFile mapped(put("a", "abc"));
  mapped.bytes()[0] = std::byte{'X'};
  EXPECT_EQ(bytes_of("a"), "abc");
}

TEST_F(MappedFileTest, OutlivesTheFilesName) {
  const MappedFile mapped(put("a", "abc"));
  std::filesystem::remove(file("a"));
  EXPECT_EQ(mapped.bytes()[2], std::byte{'c'});
}

TEST_F(MappedFileTest, MissingFileIsNamed) {
  const std::string message = message_of<InputError>([&] { MappedFile mapped(file("missing")); });
  EXPECT_TRUE(contains(message, file("missing").string()));
  EXPECT_TRUE(contains(message, "No such file or directory"));
}

TEST_F(MappedFileTest, FolderIsAnError) {
  std::filesystem::create_directory(file("folder"));
  EXPECT_TRUE(contains(message_of<InputError>([&] { MappedFile mapped(file("folder")); }), "found a folder"));
}

TEST_F(MappedFileTest, NamedPipeIsAnErrorAndDoesNotBlock) {
  ASSERT_EQ(::mkfifo(file("pipe").c_str(), 0600), 0);
  EXPECT_TRUE(contains(message_of<InputError>([&] { MappedFile mapped(file("pipe")); }), "regular file"));
}

TEST_F(MappedFileTest, UnreadableFileIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::filesystem::permissions(put("a", "abc"), std::filesystem::perms::none);
  EXPECT_TRUE(contains(message_of<InputError>([&] { MappedFile mapped(file("a")); }), "Permission denied"));
}

}  // namespace
}  // namespace switchyard::io

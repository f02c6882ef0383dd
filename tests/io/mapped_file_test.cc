#include "io/mapped_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

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

// It was a SIGBUS without a word.
TEST_F(MappedFileTest, AFileThatShrinksEndsTheProgramWithASentence) {
  const auto path = put("a", std::string(10'000, 'x'));
  const auto read_its_end = [&] {
    end_when_a_mapped_file_shrinks("program");
    const MappedFile other(put("b", "abc")), mapped(path);
    std::filesystem::resize_file(path, 100);
    std::thread([&] { std::putchar(static_cast<int>(mapped.bytes()[9'000])); }).join();
    std::exit(0);
  };
  EXPECT_EXIT(read_its_end(), ::testing::ExitedWithCode(3),
              "^program: .*a: became shorter while it was read");
}

TEST_F(MappedFileTest, AFileThatIsLongerThanTheAddressSpaceIsWantOfMemory) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves terabytes of address space";
#endif
  const auto path = put("a", "abc");
  std::filesystem::resize_file(path, std::uintmax_t{1} << 36);  // 64 GiB, of which none is on the disk
  const auto map_it = [&] {
    const rlimit limit{std::uintmax_t{1} << 35, std::uintmax_t{1} << 35};
    ::setrlimit(RLIMIT_AS, &limit);
    const auto message = message_of<OutOfMemory>([&] { MappedFile mapped(path); });
    std::fprintf(stderr, "%s", message.c_str());
    std::exit(4);
  };
  EXPECT_EXIT(map_it(), ::testing::ExitedWithCode(4), "a: 68719476736 bytes of address space");
}

TEST_F(MappedFileTest, UnreadableFileIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::filesystem::permissions(put("a", "abc"), std::filesystem::perms::none);
  EXPECT_TRUE(contains(message_of<InputError>([&] { MappedFile mapped(file("a")); }), "Permission denied"));
}

}  // namespace
}  // namespace switchyard::io

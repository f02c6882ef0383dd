#include "io/atomic_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

namespace fs = std::filesystem;

using AtomicFileTest = Scratch;

// No file may grow beyond `bytes`, as if the disk were full, for as long as this lives.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(AtomicFileTest, AppearsWithAllItsBytesOnCommit) {
  AtomicFile output(file("a"));
  output.write("one ", 4);
  output.write("", 0);
  output.write("two", 3);
  EXPECT_FALSE(fs::exists(file("a")));
  output.commit();
  EXPECT_EQ(bytes_of("a"), "one two");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileTest, LeavesTheTargetAloneWithoutCommit) {
  put("a", "old");
  {
    AtomicFile output(file("a"));
    output.write("new", 3);
  }
  EXPECT_EQ(bytes_of("a"), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileTest, ReplacesAnExistingFile) {
  put("a", "old and longer");
  write_file(file("a"), "new");
  EXPECT_EQ(bytes_of("a"), "new");
}

TEST_F(AtomicFileTest, TwoWritersOfOneTargetDoNotMix) {
  AtomicFile first(file("a")), second(file("a"));
  first.write("first", 5);
  second.write("second", 6);
  second.commit();
  EXPECT_EQ(bytes_of("a"), "second");
  first.commit();
  EXPECT_EQ(bytes_of("a"), "first");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileTest, FollowsASymbolicLink) {
  put("real", "old");
  fs::create_symlink(file("real"), file("link"));
  write_file(file("link"), "new");
  EXPECT_TRUE(fs::is_symlink(file("link")));
  EXPECT_EQ(bytes_of("real"), "new");
}

// A process that writes a file for ever, until it is killed.
class Writer {
 public:
  explicit Writer(const fs::path& target) {
    int ready[2];
    EXPECT_EQ(::pipe(ready), 0);
    child_ = ::fork();
    if (child_ == 0) {
      AtomicFile output(target);
      output.write("half", 4);
      static_cast<void>(!::write(ready[1], "x", 1));
      for (;;) ::pause();
    }
    char byte = 0;
    EXPECT_EQ(::read(ready[0], &byte, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  ~Writer() { kill(); }
  void kill() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

 private:
  pid_t child_ = -1;
};

TEST_F(AtomicFileTest, ATemporaryIsRemovedWhenItsWriterIsDeadAndOnlyThen) {
  Writer dead(file("a")), alive(file("b"));
  AtomicFile own(file("c"));
  put(".switchyard-1234-0.tmp", "of a version that took no locks");
  ASSERT_EQ(names().size(), 4u);
  remove_dead_temporaries(file(""));
  EXPECT_EQ(names().size(), 4u) << "all are alive";
  dead.kill();
  remove_dead_temporaries(file(""));
  EXPECT_EQ(names().size(), 3u);
  own.commit();
  EXPECT_EQ(bytes_of("c"), "");
  alive.kill();
  remove_dead_temporaries(file(""));
  auto left = names();
  std::ranges::sort(left);
  EXPECT_EQ(left, (std::vector<std::string>{".switchyard-1234-0.tmp", "c"}));
  remove_dead_temporaries(file("no/such"));
}

TEST_F(AtomicFileTest, AProcessThatEndsAtOnceTakesItsTemporariesWithIt) {
  const pid_t child = ::fork();
  if (child == 0) {
    AtomicFile first(file("a")), second(file("b"));
    first.write("half", 4);
    second.commit();
    abandon_temporaries();
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(names(), std::vector<std::string>{"b"});
}

TEST_F(AtomicFileTest, GivesThePermissionsThatTheUserAskedFor) {
  const mode_t before = ::umask(027);
  write_file(file("a"), "x");
  ::umask(before);
  EXPECT_EQ(fs::status(file("a")).permissions(), fs::perms{0640});
}

TEST_F(AtomicFileTest, FullDiskIsAnErrorAndLeavesNothing) {
  put("a", "old");
  const std::string large(100'000, 'x');
  std::string message;
  {
    const FullDisk full(65'536);
    message = message_of<OutputError>([&] { write_file(file("a"), large); });
  }
  EXPECT_TRUE(contains(message, file("a").string()));
  EXPECT_TRUE(contains(message, "File too large"));
  EXPECT_EQ(bytes_of("a"), "old");
  EXPECT_EQ(names(), std::vector<std::string>{"a"});
}

TEST_F(AtomicFileTest, MissingFolderIsNamed) {
  const std::string message = message_of<OutputError>([&] { AtomicFile output(file("no/such/a")); });
  EXPECT_TRUE(contains(message, "no/such/a"));
  EXPECT_TRUE(contains(message, "No such file or directory"));
}

TEST_F(AtomicFileTest, UnwritableFolderIsAnError) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere";
  fs::create_directory(file("locked"));
  fs::permissions(file("locked"), fs::perms{0500});
  EXPECT_TRUE(
      contains(message_of<OutputError>([&] { AtomicFile output(file("locked/a")); }), "Permission denied"));
}

TEST_F(AtomicFileTest, FolderThatCannotHoldFilesIsAnError) {
  EXPECT_TRUE(
      contains(message_of<OutputError>([&] { AtomicFile output("/proc/switchyard"); }), "/proc/switchyard"));
}

TEST_F(AtomicFileTest, FolderVanishesBeforeCommit) {
  fs::create_directory(file("folder"));
  AtomicFile output(file("folder/a"));
  fs::remove_all(file("folder"));
  EXPECT_THROW(output.commit(), OutputError);
}

TEST_F(AtomicFileTest, NothingMayFollowCommit) {
  AtomicFile output(file("a"));
  output.commit();
  EXPECT_THROW(output.write("x", 1), OutputError);
  EXPECT_THROW(output.commit(), OutputError);
  EXPECT_EQ(bytes_of("a"), "");
}

TEST_F(AtomicFileTest, RefusesTargetsThatAreNoFiles) {
  fs::create_directory(file("folder"));
  for (const fs::path& target :
       {fs::path(), file("folder"), file("folder/"), file("new/"), fs::path("/dev/full")})
    EXPECT_THROW(AtomicFile{target}, OutputError) << target;
  EXPECT_EQ(names(), std::vector<std::string>{"folder"});
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace switchyard::io

#include "io/free_memory.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "io/error.h"
#include "scratch.h"

namespace switchyard::io {
namespace {

TEST(FreeMemory, IsSomethingAndNotMoreThanThereCanBe) {
  EXPECT_GT(free_memory(), 10 << 20);
  EXPECT_LT(free_memory(), int64_t{1} << 46);
}

TEST(FreeMemory, WantIsToldWithBothSizes) {
  EXPECT_NO_THROW(require_memory(0, "nothing"));
  try {
    require_memory(int64_t{1} << 60, "the weights of x");
    FAIL();
  } catch (const OutOfMemory& error) {
    EXPECT_TRUE(contains(error.what(), "the weights of x: needs at least 1152921504.6 GB, ")) << error.what();
    EXPECT_TRUE(contains(error.what(), " are free")) << error.what();
  }
}

// In a process of its own: there is no way back.
TEST(FreeMemory, KnowsTheLimitOnTheAddressSpace) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "AddressSanitizer reserves terabytes of address space";
#endif
  const auto in_child = [] {
    int64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const auto limit = static_cast<rlim_t>(pages * ::sysconf(_SC_PAGESIZE)) + 100'000'000;
    const rlimit space = {limit, limit};
    ::setrlimit(RLIMIT_AS, &space);
    const auto free = free_memory();
    ::_exit(free > 50'000'000 && free < 400'000'000 ? 0 : 1);
  };
  EXPECT_EXIT(in_child(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace switchyard::io

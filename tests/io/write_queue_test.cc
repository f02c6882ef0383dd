#include "io/write_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace switchyard::io {
namespace {

TEST(WriteQueue, RunsJobsInOrder) {
  std::vector<int> done;
  WriteQueue queue(3);
  for (int i = 0; i < 100; ++i) queue.add([&done, i] { done.push_back(i); });
  queue.finish();
  ASSERT_EQ(done.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(done[static_cast<size_t>(i)], i);
}

TEST(WriteQueue, AddsWaitWhileTooManyDo) {
  std::atomic<int> done = 0;
  WriteQueue queue(2);
  for (int i = 0; i < 20; ++i) {
    queue.add([&] { ++done; });
    EXPECT_LE(i + 1 - done, 4) << "two wait, one runs, one was just added";
  }
}

TEST(WriteQueue, ItsEndWaitsForTheJobs) {
  std::atomic<int> done = 0;
  {
    WriteQueue queue;
    for (int i = 0; i < 20; ++i) queue.add([&] { ++done; });
  }
  EXPECT_EQ(done, 20);
}

TEST(WriteQueue, AFailureIsTheLastThatRunsAndIsThrown) {
  std::atomic<int> done = 0;
  WriteQueue queue(100);
  queue.add([&] { ++done; });
  queue.add([] { throw std::runtime_error("disk full"); });
  EXPECT_THROW(
      {
        for (int i = 0; i < 50; ++i) queue.add([&] { ++done; });
        queue.finish();
      },
      std::runtime_error);
  EXPECT_THROW(queue.add([] {}), std::runtime_error);
  EXPECT_THROW(queue.finish(), std::runtime_error);
  EXPECT_EQ(done, 1);
}

}  // namespace
}  // namespace switchyard::io

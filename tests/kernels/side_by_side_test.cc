#include "kernels/side_by_side.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace switchyard::kernels {
namespace {

TEST(SideBySide, EveryPieceRunsOnce) {
  for (const int64_t pieces : {0, 1, 2, 3, 31}) {
    std::vector<std::atomic<int>> runs(pieces);
    side_by_side(pieces, [&](int64_t piece) { ++runs[piece]; });
    for (const auto& count : runs) EXPECT_EQ(count, 1) << pieces << " pieces";
  }
}

TEST(SideBySide, ExceptionComesBackAfterAllHaveEnded) {
  std::atomic<int> ended = 0;
  const auto work = [&](int64_t piece) {
    ++ended;
    if (piece == 0) throw std::runtime_error("piece 0");
  };
  EXPECT_THROW(side_by_side(2, work), std::runtime_error);
  EXPECT_EQ(ended, at::get_num_threads() > 1 ? 2 : 1);
}

TEST(SideBySide, GradientModeIsTheCallers) {
  for (const bool enabled : {true, false}) {
    at::AutoGradMode mode(enabled);
    side_by_side(2, [&](int64_t) { EXPECT_EQ(at::GradMode::is_enabled(), enabled); });
  }
}

// libtorch as it would be on a machine with so many cores, until the end of the scope.
class Cores {
 public:
  explicit Cores(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Cores() { at::set_num_threads(before_); }
  Cores(const Cores&) = delete;
  Cores& operator=(const Cores&) = delete;

 private:
  int before_;
};

// The numbers of threads that libtorch, OpenMP and MKL have in a thread.
std::string counts() {
  const std::string info = at::get_parallel_info();
  return info.substr(0, info.find("Environment variables"));
}

std::string counts_of_a_new_thread() {
  std::string of_it;
  std::thread([&] { of_it = counts(); }).join();
  return of_it;
}

TEST(SideBySide, CoresAreSharedEvenly) {
  const Cores cores(6);
  for (const int64_t pieces : {2, 3, 6, 31}) {
    const int each = pieces < 6 ? static_cast<int>(6 / pieces) : 1;
    side_by_side(pieces, [&](int64_t) {
      EXPECT_EQ(at::get_num_threads(), each) << pieces << " pieces";
      const auto mkl = counts().find("mkl_get_max_threads() : ");
      if (mkl == std::string::npos) return;  // a libtorch without it
      EXPECT_TRUE(counts().substr(mkl).starts_with("mkl_get_max_threads() : " + std::to_string(each) + "\n"))
          << counts();
    });
  }
}

TEST(SideBySide, NoOtherThreadsCountChangesMeanwhileOrAfterwards) {
  const Cores cores(4);
  const auto before = counts(), of_a_new_one = counts_of_a_new_thread();
  side_by_side(4, [&](int64_t) { EXPECT_EQ(counts_of_a_new_thread(), of_a_new_one); });
  EXPECT_EQ(counts(), before);
  EXPECT_EQ(counts_of_a_new_thread(), of_a_new_one);
}

TEST(SideBySide, TheSameThreadsWorkEveryTime) {
  const Cores cores(3);
  std::mutex mutex;
  std::set<pid_t> threads;  // the kernel's numbers, which are not used again soon
  for (int round = 0; round < 50; ++round) {
    side_by_side(3, [&](int64_t) {
      const std::lock_guard lock(mutex);
      threads.insert(::gettid());
    });
  }
  EXPECT_EQ(threads.size(), 3);
  EXPECT_FALSE(threads.contains(::gettid()));
}

TEST(SideBySide, APieceMayCallItAgain) {
  const Cores cores(4);
  std::vector<std::atomic<int>> runs(6);
  side_by_side(2, [&](int64_t outer) {
    side_by_side(3, [&](int64_t inner) {
      EXPECT_EQ(at::get_num_threads(), 1);
      ++runs[outer * 3 + inner];
    });
    EXPECT_EQ(at::get_num_threads(), 2);
  });
  for (const auto& count : runs) EXPECT_EQ(count, 1);
}

TEST(SideBySide, CallersOnSeveralThreadsKnowNothingOfEachOther) {
  const Cores cores(2);
  constexpr int kRounds = 300;
  const auto call = [&](bool gradient, int64_t pieces) {
    const at::AutoGradMode mode(gradient);
    std::atomic<int64_t> runs = 0;
    int thrown = 0;
    for (int round = 0; round < kRounds; ++round) {
      try {
        side_by_side(pieces, [&](int64_t piece) {
          ++runs;
          EXPECT_EQ(at::GradMode::is_enabled(), gradient);
          if (gradient && piece == 1) throw std::runtime_error("of this caller alone");
        });
      } catch (const std::runtime_error&) {
        ++thrown;
      }
    }
    EXPECT_EQ(runs, kRounds * pieces);
    EXPECT_EQ(thrown, gradient ? kRounds : 0);
    EXPECT_EQ(at::get_num_threads(), 2);
  };
  std::thread one([&] { call(true, 2); }), other([&] { call(false, 3); });
  one.join();
  other.join();
}

}  // namespace
}  // namespace switchyard::kernels

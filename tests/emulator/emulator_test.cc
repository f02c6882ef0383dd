// The emulator: right kernels give right results under every schedule, and each kind of mistake is found.
#include "emulator/emulator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <bit>
#include <memory>
#include <vector>

#include "emulator/planted.h"
#include "kernels/compare.h"

namespace switchyard::emulator {
namespace {

namespace planted = kernels::cuda::planted;
using planted::Mistake;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;
#else
constexpr bool kAddressSanitizer = false;
#endif
#ifdef EMULATOR_TSAN
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

// Whether the sums of 4 blocks are right in every schedule.
bool block_sums_are_right(bool with_barrier) {
  for (const auto& schedule : kSchedules) {
    const ScopedSchedule scoped(schedule);
    std::vector<float> in(4 * 128), out(4 * 128);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(i % 7);
    planted::block_sums(in.data(), out.data(), 4, with_barrier);
    for (size_t block = 0; block < 4; ++block) {
      float sum = 0;
      for (size_t i = 0; i < 128; ++i) sum += in[block * 128 + i];
      for (size_t i = 0; i < 128; ++i) {
        if (out[block * 128 + i] != sum) return false;
      }
    }
  }
  return true;
}

TEST(Emulator, RunsBarriersAndSharedMemory) { EXPECT_TRUE(block_sums_are_right(/*with_barrier=*/true)); }

TEST(Emulator, FindsAMissingBarrierByWrongResults) {
  if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer would report it: see the next test";
  EXPECT_FALSE(block_sums_are_right(/*with_barrier=*/false));
}

TEST(EmulatorDeathTest, ThreadSanitizerFindsAMissingBarrier) {
  if (!kThreadSanitizer) GTEST_SKIP() << "not built with ThreadSanitizer";
  const auto run_and_leave = [](bool with_barrier) {
    block_sums_are_right(with_barrier);
    std::exit(0);  // ThreadSanitizer changes the status if it has reported something
  };
  EXPECT_EXIT(run_and_leave(true), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(run_and_leave(false), ::testing::ExitedWithCode(66), "data race.*planted.cu");
}

TEST(EmulatorDeathTest, ThreadSanitizerFindsARaceBetweenBlocks) {
  if (!kThreadSanitizer) GTEST_SKIP() << "not built with ThreadSanitizer";
  const auto run_and_leave = [](bool atomically) {
    int count = 0;
    planted::count_threads(&count, 4, atomically);
    std::exit(0);
  };
  EXPECT_EXIT(run_and_leave(true), ::testing::ExitedWithCode(0), "");
  EXPECT_EXIT(run_and_leave(false), ::testing::ExitedWithCode(66), "data race");
}

TEST(Emulator, AtomicsLoseNothing) {
  for (const auto& schedule : kSchedules) {
    const ScopedSchedule scoped(schedule);
    int count = 0;
    planted::count_threads(&count, 5, /*atomically=*/true);
    EXPECT_EQ(count, 5 * 64) << schedule.name;
  }
}

using RowSums = void (*)(const float*, std::int64_t, int, int, float*, bool);

// Sums of 3 rows of 31, exactly as many as the array holds, or with a padding of NaN between them.
bool row_sums_are_right(RowSums row_sums, std::int64_t stride, bool off_by_one) {
  const int rows = 3, width = 31;
  const std::unique_ptr<float[]> in(
      new float[static_cast<size_t>((rows - 1) * stride + width + (stride > width))]);
  std::fill_n(in.get(), (rows - 1) * stride + width + (stride > width), NAN);
  for (int r = 0; r < rows; ++r) std::fill_n(in.get() + r * stride, width, 1.0F);
  float out[3];
  row_sums(in.get(), stride, rows, width, out, off_by_one);
  return out[0] == 31 && out[1] == 31 && out[2] == 31;
}

TEST(Emulator, FindsAnOffByOneReadByPoisonedPadding) {
  EXPECT_TRUE(row_sums_are_right(planted::row_sums, 32, /*off_by_one=*/false));
  EXPECT_FALSE(row_sums_are_right(planted::row_sums, 32, /*off_by_one=*/true));
}

TEST(EmulatorDeathTest, AddressSanitizerFindsAnOffByOneRead) {
  if (!kAddressSanitizer) GTEST_SKIP() << "not built with AddressSanitizer";
  EXPECT_TRUE(row_sums_are_right(planted::row_sums, 31, false));
  EXPECT_DEATH(row_sums_are_right(planted::row_sums, 31, true), "heap-buffer-overflow(.|\n)*planted.cu");
}

TEST(EmulatorDeathTest, AddressSanitizerFindsAnOffByOneReadOfSharedMemory) {
  if (!kAddressSanitizer) GTEST_SKIP() << "not built with AddressSanitizer";
  alignas(16) float in[32] = {}, out[1];
  planted::row_sums_through_shared(in, 32, 1, 32, out, false);
  EXPECT_DEATH(planted::row_sums_through_shared(in, 32, 1, 32, out, true),
               "AddressSanitizer(.|\n)*planted.cu");
}

TEST(Emulator, OperationsGiveWhatCudaDocuments) {
  unsigned votes[2] = {};
  int in_block = 0;
  for (unsigned i = 0; i < 64; ++i) {
    if (i % 3) continue;
    votes[i / 32] |= 1U << (i % 32);
    ++in_block;
  }
  for (const auto& schedule : kSchedules) {
    const ScopedSchedule scoped(schedule);
    planted::Operations out;
    planted::operations(&out);
    for (int i = 0; i < 64; ++i) {
      const int first = i / 32 * 32;
      EXPECT_EQ(out.shuffled[i], first + 5);
      EXPECT_EQ(out.exchanged[i], i ^ 3);
      EXPECT_EQ(out.moved_up[i], i - first < 2 ? i : i - 2);
      EXPECT_EQ(out.votes[i], votes[i / 32]);
      EXPECT_EQ(out.barrier_count[i], in_block);
    }
  }
}

TEST(Emulator, FragmentsMultiplyAsMatrices) {
  const auto a = kernels::random({16, 16}, 71, at::kBFloat16),
             b = kernels::random({8, 16}, 72, at::kBFloat16);
  for (const auto& schedule : kSchedules) {
    const ScopedSchedule scoped(schedule);
    for (const bool transposed : {false, true}) {
      const auto left = (transposed ? a.t() : a).contiguous(), right = (transposed ? b.t() : b).contiguous();
      const auto d = at::empty({16, 8});
      planted::warp_product(left.const_data_ptr(), right.const_data_ptr(), d.mutable_data_ptr<float>(),
                            transposed);
      EXPECT_TRUE(kernels::near(d, at::mm(a.to(at::kDouble), b.to(at::kDouble).t()), 1e-6))
          << schedule.name << (transposed ? ", transposed" : "");
    }
  }
}

TEST(Emulator, AsynchronousCopiesArriveWhenWaitedFor) {
  const auto in = kernels::random({3, 128}, 73);
  for (const auto& schedule : kSchedules) {
    const ScopedSchedule scoped(schedule);
    const auto out = at::empty({3});
    planted::row_sums_through_shared(in.const_data_ptr<float>(), 128, 3, 128, out.mutable_data_ptr<float>(),
                                     false);
    EXPECT_TRUE(kernels::near(out, in.sum(1), 1e-5)) << schedule.name;
  }
}

TEST(Emulator, AWaitThatIsTooWeakReadsUnwrittenMemory) {
  if (kThreadSanitizer) GTEST_SKIP() << "ThreadSanitizer would report it";
  const auto in = kernels::random({128}, 74);
  auto out = at::empty({64});
  const ScopedSchedule scoped(kSchedules[1]);  // copies happen when they are waited for
  planted::make(Mistake::wait_too_weak, in.const_data_ptr<float>(), out.mutable_data_ptr<float>());
  EXPECT_TRUE(at::isnan(out).any().item<bool>());
}

struct MistakeCase {
  const char* name;
  Mistake mistake;
  const char* message;  // a part of it
};

constexpr MistakeCase kMistakes[] = {
    {"BarrierInABranch", Mistake::barrier_in_a_branch, "divergent barrier: thread"},
    {"EarlyExit", Mistake::early_exit, "31 threads ended, 33 threads wait at the barrier"},
    {"ShuffleInABranch", Mistake::shuffle_in_a_branch, "wait at the warp operation"},
    {"ShuffleFromOutside", Mistake::shuffle_from_outside, "shuffle reads lane 20"},
    {"MissingLanes", Mistake::missing_lanes, "lanes that the block does not have"},
    {"TooLittleShared", Mistake::too_little_shared, "260 bytes of dynamic shared memory, but 256"},
    {"CopyNotAwaited", Mistake::copy_not_awaited, "asynchronous copies that it did not wait for"},
    {"CopyMisaligned", Mistake::copy_misaligned, "misaligned"},
    {"EmptyGrid", Mistake::empty_grid, "the grid is empty"},
    {"LargeBlock", Mistake::large_block, "the block is empty or too large"},
};

class EmulatorReports : public ::testing::TestWithParam<MistakeCase> {};

INSTANTIATE_TEST_SUITE_P(Mistakes, EmulatorReports, ::testing::ValuesIn(kMistakes),
                         [](const auto& instance) { return instance.param.name; });

// Reported in every schedule, in words, and without hanging; the next launch works.
TEST_P(EmulatorReports, InsteadOfHanging) {
  for (const auto& schedule : kSchedules) {
    const ScopedSchedule scoped(schedule);
    const auto in = at::zeros({128}), out = at::zeros({128});
    try {
      planted::make(GetParam().mistake, in.const_data_ptr<float>(), out.mutable_data_ptr<float>());
      ADD_FAILURE() << "not reported under " << schedule.name;
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(GetParam().message), std::string::npos) << message;
    }
    int count = 0;
    planted::count_threads(&count, 1, true);
    EXPECT_EQ(count, 64);
  }
}

}  // namespace
}  // namespace switchyard::emulator

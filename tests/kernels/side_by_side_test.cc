#include "kernels/side_by_side.h"

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
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

TEST(SideBySide, ThreadCountIsAsBefore) {
  const int before = at::get_num_threads();
  side_by_side(2, [](int64_t) {});
  EXPECT_EQ(at::get_num_threads(), before);
}

}  // namespace
}  // namespace switchyard::kernels

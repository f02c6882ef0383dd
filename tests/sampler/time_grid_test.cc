#include "sampler/time_grid.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

namespace switchyard::sampler {
namespace {

TEST(TimeGrid, WithoutShiftIsExactlyIOverSteps) {
  for (const int steps : {1, 3, 25, 31, 250}) {
    const auto times = time_grid(steps);
    ASSERT_EQ(times.size(), static_cast<std::size_t>(steps) + 1);
    for (int i = 0; i <= steps; ++i)
      EXPECT_EQ(times[i], double(steps - i) / steps) << steps << " steps, index " << i;
  }
}

class ShiftedTimeGrid : public testing::TestWithParam<double> {};

TEST_P(ShiftedTimeGrid, FollowsTheFormulaBetweenExactEnds) {
  const double shift = GetParam();
  const auto times = time_grid(33, shift);
  EXPECT_EQ(times.front(), 1.0);
  EXPECT_EQ(times.back(), 0.0);
  for (int i = 1; i <= 33; ++i) {
    const double t = (33.0 - i) / 33.0;
    EXPECT_NEAR(times[i], shift * t / (1.0 + (shift - 1.0) * t), 1e-15) << i;
    EXPECT_LT(times[i], times[i - 1]) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Shifts, ShiftedTimeGrid, testing::Values(0.3, 1.0, 3.0, 7.1));

TEST(TimeGrid, NoStepsAreRefused) {
  EXPECT_THROW(time_grid(0), std::invalid_argument);
  EXPECT_THROW(time_grid(-3), std::invalid_argument);
}

TEST(TimeGrid, ShiftMustBePositiveAndFinite) {
  using limits = std::numeric_limits<double>;
  for (const double shift : {0.0, -1.0, limits::infinity(), limits::quiet_NaN()}) {
    EXPECT_THROW(time_grid(4, shift), std::invalid_argument) << shift;
  }
}

TEST(TimeGrid, ErrorNamesValueAndRange) {
  try {
    time_grid(0);
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "steps is 0, expected at least 1");
  }
}

}  // namespace
}  // namespace switchyard::sampler

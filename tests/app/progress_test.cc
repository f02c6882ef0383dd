#include "app/cli/progress.h"

#include <gtest/gtest.h>

#include <cmath>

namespace switchyard::app {
namespace {

struct DurationCase {
  double seconds;
  const char* text;
};

TEST(Duration, ReadsAsPeopleSayIt) {
  for (const auto& [seconds, text] : {DurationCase{0, "0.0 s"},
                                      {9.94, "9.9 s"},
                                      {9.96, "10 s"},
                                      {59.4, "59 s"},
                                      {59.6, "1 min 00 s"},
                                      {185, "3 min 05 s"},
                                      {3599.7, "1 h 00 min"},
                                      {7625, "2 h 07 min"}}) {
    EXPECT_EQ(duration_text(seconds), text) << seconds;
  }
}

TEST(Duration, OfUnknownLengthIsAQuestionMark) {
  EXPECT_EQ(duration_text(std::nan("")), "?");
  EXPECT_EQ(duration_text(INFINITY), "?");
}

}  // namespace
}  // namespace switchyard::app

#include "io/near_misses.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace switchyard::io {
namespace {

struct DistanceCase {
  std::string_view a, b;
  std::size_t distance;
};

class EditDistance : public testing::TestWithParam<DistanceCase> {};

TEST_P(EditDistance, IsTheLeastNumberOfEdits) {
  const auto& [a, b, distance] = GetParam();
  EXPECT_EQ(edit_distance(a, b), distance);
  EXPECT_EQ(edit_distance(b, a), distance);
}

INSTANTIATE_TEST_SUITE_P(Pairs, EditDistance,
                         testing::Values(DistanceCase{"", "", 0}, DistanceCase{"", "heun", 4},
                                         DistanceCase{"heun", "heun", 0}, DistanceCase{"Heun", "hEUN", 0},
                                         DistanceCase{"heum", "heun", 1}, DistanceCase{"hun", "heun", 1},
                                         DistanceCase{"huen", "heun", 1}, DistanceCase{"ehnu", "heun", 2},
                                         DistanceCase{"kitten", "sitting", 3}));

struct MissCase {
  std::string_view given;
  std::string text;
};

class NearMisses : public testing::TestWithParam<MissCase> {};

TEST_P(NearMisses, NamesWhatIsNearAndWhatIsKnown) {
  const std::vector<std::string_view> known = {"euler", "heun", "midpoint", "euler2"};
  EXPECT_EQ(near_misses(GetParam().given, known), GetParam().text + "known: euler, heun, midpoint, euler2");
}

INSTANTIATE_TEST_SUITE_P(Names, NearMisses,
                         testing::Values(MissCase{"heum", "did you mean \"heun\"? "},
                                         MissCase{"Midpiont", "did you mean \"midpoint\"? "},
                                         MissCase{"mid", "did you mean \"midpoint\"? "},
                                         MissCase{"eulerr", "did you mean \"euler\" or \"euler2\"? "},
                                         MissCase{"eulr2", "did you mean \"euler2\"? "}, MissCase{"rk45", ""},
                                         MissCase{"", ""}));

TEST(NearMissesOfMany, SuggestsThreeAndCountsTheRest) {
  std::vector<std::string> names;
  for (int i = 10; i < 31; ++i) names.push_back("class" + std::to_string(i));
  EXPECT_EQ(near_misses("class1", std::vector<std::string_view>(names.begin(), names.end())),
            "did you mean \"class10\" or \"class11\" or \"class12\"? 21 names are known");
}

}  // namespace
}  // namespace switchyard::io

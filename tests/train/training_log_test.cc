#include "train/training_log.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace switchyard::train {
namespace {

std::vector<std::string> lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::vector<std::string> all;
  for (std::string line; std::getline(file, line);) all.push_back(line);
  return all;
}

class TrainingLogTest : public ::testing::Test {
 protected:
  std::filesystem::path path_ = std::filesystem::path(::testing::TempDir()) / "training_log_test.csv";
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override { std::filesystem::remove(path_); }

  static LogRow row(int64_t step) {
    return {step, step * 64, 0.5, 1.0, 0.1, 1e-3, 100, at::full({2, 3}, 1.0 / 3, at::kDouble)};
  }
};

TEST_F(TrainingLogTest, EveryRowHasAColumnPerExpert) {
  TrainingLog log(path_, 0, 2, 3);
  log.append(row(50));
  const auto all = lines(path_);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(std::count(all[0].begin(), all[0].end(), ','), std::count(all[1].begin(), all[1].end(), ','));
  EXPECT_TRUE(all[0].ends_with("load_1_2")) << all[0];
}

TEST_F(TrainingLogTest, ResumingDropsRowsBeyondTheCheckpoint) {
  {
    TrainingLog log(path_, 0, 2, 3);
    for (const int64_t step : {50, 100, 150}) log.append(row(step));
  }
  TrainingLog log(path_, 100, 2, 3);
  log.append(row(150));
  const auto all = lines(path_);
  ASSERT_EQ(all.size(), 4u);
  EXPECT_TRUE(all[3].starts_with("150,"));
}

TEST_F(TrainingLogTest, RowThatWasCutOffIsDropped) {
  {
    TrainingLog log(path_, 0, 2, 3);
    log.append(row(50));
  }
  std::ofstream(path_, std::ios::app) << "60,38";
  const TrainingLog log(path_, 100, 2, 3);
  EXPECT_EQ(lines(path_).size(), 2u);
}

}  // namespace
}  // namespace switchyard::train

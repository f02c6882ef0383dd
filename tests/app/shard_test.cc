#include "app/cli/shard.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <stdexcept>
#include <vector>

namespace switchyard::app {
namespace {

TEST(ShardFromText, CountsFromOne) {
  EXPECT_EQ(shard_from_text("1/8").index, 0);
  EXPECT_EQ(shard_from_text("8/8").index, 7);
  EXPECT_EQ(shard_from_text("8/8").of, 8);
  for (const char* text : {"", "3", "0/8", "9/8", "1/0", "-1/8", "1/8x", "a/b", "1/", "/8"})
    EXPECT_THROW(shard_from_text(text), std::invalid_argument) << text;
}

struct Environment {
  const char* name;
  std::vector<std::pair<const char*, const char*>> variables;
  int64_t index, of;  // of 1: nothing
};

const Environment kEnvironments[] = {
    {"none", {}, 0, 1},
    {"torchrun", {{"RANK", "3"}, {"WORLD_SIZE", "8"}}, 3, 8},
    {"torchrun_alone", {{"RANK", "0"}, {"WORLD_SIZE", "1"}}, 0, 1},
    {"slurm_tasks", {{"SLURM_PROCID", "2"}, {"SLURM_NTASKS", "4"}}, 2, 4},
    {"slurm_array",
     {{"SLURM_ARRAY_TASK_ID", "7"}, {"SLURM_ARRAY_TASK_MIN", "5"}, {"SLURM_ARRAY_TASK_MAX", "9"}},
     2,
     5},
    {"torchrun_in_slurm",  // the inner launcher counts
     {{"RANK", "3"}, {"WORLD_SIZE", "8"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "1"}},
     3,
     8},
    {"open_mpi", {{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "2"}}, 1, 2},
    {"pmi", {{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}, 1, 2},
    {"half", {{"WORLD_SIZE", "8"}}, 0, 1},
};

class ShardFromEnvironment : public ::testing::TestWithParam<Environment> {
 protected:
  ShardFromEnvironment() { clear(); }
  ~ShardFromEnvironment() override { clear(); }
  static void clear() {
    for (const char* name :
         {"RANK", "WORLD_SIZE", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN",
          "SLURM_ARRAY_TASK_MAX", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE"})
      ::unsetenv(name);
  }
};

TEST_P(ShardFromEnvironment, IsAsTheLauncherSays) {
  const auto& [name, variables, index, of] = GetParam();
  for (const auto& [variable, value] : variables) ::setenv(variable, value, 1);
  const auto found = shard_from_environment();
  ASSERT_EQ(found.has_value(), of > 1);
  if (!found) return;
  EXPECT_EQ(found->shard.index, index);
  EXPECT_EQ(found->shard.of, of);
}

INSTANTIATE_TEST_SUITE_P(All, ShardFromEnvironment, ::testing::ValuesIn(kEnvironments),
                         [](const auto& test) { return test.param.name; });

TEST_F(ShardFromEnvironment, RefusesNonsense) {
  ::setenv("WORLD_SIZE", "4", 1);
  ::setenv("RANK", "4", 1);
  EXPECT_THROW(shard_from_environment(), std::invalid_argument);
  ::setenv("RANK", "two", 1);
  EXPECT_THROW(shard_from_environment(), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::app

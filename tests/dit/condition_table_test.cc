// A stored condition is the computed one, bit for bit, and an image drawn with it the same image.
#include "dit/condition_table.h"

#include <gtest/gtest.h>

#include "random_model.h"

namespace switchyard::dit {
namespace {

class ConditionTableTest : public ::testing::TestWithParam<ModelConfig> {
 protected:
  std::vector<double> times() const {
    if (GetParam().schedule == "rectified_flow") return {1, 0.96, 0.5, 0.04};
    return {99, 66, 33, 0};
  }
};
INSTANTIATE_TEST_SUITE_P(Families, ConditionTableTest, ::testing::ValuesIn(every_family()),
                         [](const auto& instance) { return std::to_string(instance.index); });

void expect_same(const Condition& a, const Condition& b) {
  EXPECT_EQ(a.time.values, b.time.values);
  EXPECT_TRUE(at::equal(a.time.embedding, b.time.embedding));
  EXPECT_TRUE(at::equal(a.last, b.last));
  ASSERT_EQ(a.blocks.size(), b.blocks.size());
  for (size_t i = 0; i < a.blocks.size(); ++i) EXPECT_TRUE(at::equal(a.blocks[i], b.blocks[i])) << i;
}

TEST_P(ConditionTableTest, StoredIsComputed) {
  const at::NoGradGuard no_grad;
  auto model = random_model(GetParam());
  model.pack();
  const ConditionTable table(model, times(), {3, 10, 0, 3});
  EXPECT_EQ(table.size(), 4 * 3);
  const std::vector<int64_t> labels = {10, 0, 0, 3, 10};
  for (const double t : times()) {
    const auto stored = table.at(t, labels);
    const auto computed = model.condition(at::full({5}, t), at::tensor(labels, at::kLong));
    expect_same(stored, computed);
    expect_same(stored.narrow(1, 2), computed.narrow(1, 2));
    const auto x = random_batch(GetParam(), 5).x;
    EXPECT_TRUE(at::equal(model.forward(x, stored),
                          model.forward(x, at::full({5}, t), at::tensor(labels, at::kLong))));
  }
}

// Wide and odd, with many pairs: enough for libtorch to use several threads.
TEST(ConditionTableSizes, StoredIsComputed) {
  const at::NoGradGuard no_grad;
  for (const auto& [width, heads] : {std::pair{24, 2}, {1152, 16}}) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      if (dtype == at::kBFloat16 && !kernels::has_bf16_products()) continue;
      auto config = small_config();
      config.hidden_size = width;
      config.num_heads = heads;
      config.depth = 1;
      auto model = random_model(config, dtype);
      model.pack();
      std::vector<double> many_times;
      for (int i = 0; i < 25; ++i) many_times.push_back(1 - 0.04 * i);
      const ConditionTable table(model, many_times, {0, 1, 2, 3, 4, 5, 6, 7, 10});
      EXPECT_EQ(table.size(), 225);
      for (const double t : {many_times[0], many_times[7], many_times[24]})
        expect_same(table.at(t, {5, 10}), model.condition(at::full({2}, t), at::tensor({5, 10}, at::kLong)));
    }
  }
}

TEST_P(ConditionTableTest, WhatIsNotStoredIsComputed) {
  const at::NoGradGuard no_grad;
  auto model = random_model(GetParam());
  model.pack();
  const ConditionTable table(model, times(), {3});
  const double other_time = GetParam().schedule == "rectified_flow" ? 0.25 : 50;
  for (const auto& [t, label] : {std::pair<double, int64_t>{times()[1], 4}, {other_time, 3}}) {
    expect_same(table.at(t, {3, label}),
                model.condition(at::full({2}, t), at::tensor({int64_t{3}, label}, at::kLong)));
  }
}

TEST_P(ConditionTableTest, ATableBeyondTheLimitIsNotMade) {
  const at::NoGradGuard no_grad;
  auto model = random_model(GetParam());
  model.pack();
  const ConditionTable none(model, times(), {3, 10}, 1000);
  EXPECT_EQ(none.size(), 0);
  expect_same(none.at(times()[0], {10}), ConditionTable(model, times(), {3, 10}).at(times()[0], {10}));
}

TEST_P(ConditionTableTest, ImagesAndConditionsMustBeAsMany) {
  const at::NoGradGuard no_grad;
  auto model = random_model(GetParam());
  const ConditionTable table(model, times(), {3});
  EXPECT_ANY_THROW(model.forward(random_batch(GetParam(), 2).x, table.at(times()[0], {3, 3, 3})));
}

}  // namespace
}  // namespace switchyard::dit

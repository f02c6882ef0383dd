// The stable permutation beside a stable sort.
#include "kernels/routing/permute_kernel.h"

#include "cases.h"
#include "kernels/routing/routing.h"

namespace switchyard::kernels::cuda {
namespace {

TEST(CudaPermute, EqualsAStableSort) {
  for (const auto tokens : kTokenCounts) {
    for (const int experts : {1, 3, 8, 16, 31, 128}) {
      const int k = std::min(experts, 2);
      const auto routed = route_top_k(random({tokens, experts}, 95), k).experts;
      for (const auto& [name, choices] : {std::pair{"routed", routed},
                                          {"all to the last", at::full_like(routed, experts - 1)},
                                          {"every third expert", routed.div(3, "floor") * 3}}) {
        const auto chosen = choices.to(at::kInt).flatten();
        const std::int64_t rows = chosen.numel();
        const auto order = std::get<1>(at::sort(chosen, /*stable=*/true, 0, false));  // sorted row -> row
        const auto expected_counts = at::bincount(chosen, {}, experts);
        const auto expected_position = at::empty({rows}, at::kLong).scatter_(0, order, at::arange(rows));
        under_each_schedule(
            std::string(name) + ", " + std::to_string(tokens) + " tokens, " + std::to_string(experts) +
                " experts",
            [&] {
              Rows in(chosen.view({1, -1}), 0), counts(at::zeros({1, experts}, at::kInt), 0),
                  begin(at::zeros({1, experts + 1}, at::kInt), 0),
                  position(at::zeros({1, rows}, at::kInt), 0), token_of(at::zeros({1, rows}, at::kInt), 0);
              const auto ints = [](Rows& r) { return static_cast<std::int32_t*>(r.data()); };
              count_experts(ints(in), rows, experts, ints(counts), {});
              order_by_expert(
                  {rows, experts, k, ints(in), ints(counts), ints(begin), ints(position), ints(token_of)},
                  {});
              const auto longs = [](Rows& r) { return r.values().view(-1).to(at::kLong); };
              EXPECT_TRUE(same_bits(longs(counts), expected_counts));
              EXPECT_TRUE(same_bits(longs(begin).narrow(0, 1, experts), expected_counts.cumsum(0)));
              EXPECT_EQ(longs(begin)[0].item<std::int64_t>(), 0);
              EXPECT_TRUE(same_bits(longs(position), expected_position));
              EXPECT_TRUE(same_bits(longs(token_of), order.div(k, "floor")));
            });
      }
    }
  }
}

TEST(CudaPermute, LeavesOutEmptySlots) {
  for (const auto tokens : kTokenCounts) {
    const int experts = 5;
    // Expert choice: slot e is expert e, or empty.
    const auto chosen = select_by_experts(at::softmax(random({tokens, experts}, 98), -1), (tokens + 1) / 2).experts;
    const auto expected = kernels::order_by_expert(chosen, experts);
    const auto slots = chosen.to(at::kInt).flatten();
    const std::int64_t rows = slots.numel(), filled = slots.ge(0).sum().item<std::int64_t>();
    under_each_schedule(std::to_string(tokens) + " tokens", [&] {
      Rows in(slots.view({1, -1}), 0), counts(at::zeros({1, experts}, at::kInt), 0),
          begin(at::zeros({1, experts + 1}, at::kInt), 0), position(at::zeros({1, rows}, at::kInt), 0),
          token_of(at::zeros({1, filled}, at::kInt), 0);
      const auto ints = [](Rows& r) { return static_cast<std::int32_t*>(r.data()); };
      const auto longs = [](Rows& r) { return r.values().view(-1).to(at::kLong); };
      count_experts(ints(in), rows, experts, ints(counts), {});
      order_by_expert({rows, experts, experts, ints(in), ints(counts), ints(begin), ints(position), ints(token_of)},
                      {});
      EXPECT_EQ(longs(begin)[experts].item<std::int64_t>(), filled);
      const auto places = longs(position), empty = slots.lt(0);
      EXPECT_TRUE(same_bits(places.lt(0), empty));
      EXPECT_TRUE(same_bits(empty, expected.position.lt(0)));
      const auto token = at::arange(rows).div(experts, "floor").masked_select(empty.logical_not());
      EXPECT_TRUE(same_bits(longs(token_of).index_select(0, places.masked_select(empty.logical_not())), token));
    });
  }
}

TEST(CudaPermute, NoRows) {
  std::int32_t counts[3] = {7, 7, 7}, begin[4] = {7, 7, 7, 7};
  count_experts(nullptr, 0, 3, counts, {});
  order_by_expert({0, 3, 2, nullptr, counts, begin, nullptr, nullptr}, {});
  for (const auto first : begin) EXPECT_EQ(first, 0);
}

}  // namespace
}  // namespace switchyard::kernels::cuda

// Top-k routing and the order of rows by expert: values, ties, and what must hold for every routing.
#include "kernels/routing/routing.h"

#include <torch/csrc/autograd/autograd.h>

#include <set>
#include <vector>

#include "../compare.h"

namespace switchyard::kernels {
namespace {

constexpr int64_t kExpertCounts[] = {1, 3, 8, 16, 31, 71};
constexpr int64_t kTokenCounts[] = {1, 31, 33, 127};

class RouteOnDevice : public OnDevice {
 protected:
  // Routed on the device, the result brought back.
  static Routing route(const at::Tensor& logits, int64_t k) {
    const auto routing = route_top_k(logits.to(device()), k);
    EXPECT_EQ(routing.experts.device().type(), device());
    return {routing.probabilities.cpu(), routing.experts.cpu(), routing.gate_weights.cpu()};
  }
};
ON_EVERY_DEVICE(RouteOnDevice);

TEST_P(RouteOnDevice, TakesTheLargestProbabilitiesInOrder) {
  for (const int64_t num_experts : kExpertCounts) {
    for (int64_t k = 1; k <= std::min<int64_t>(8, num_experts); ++k) {
      for (const auto dtype : {at::kFloat, at::kBFloat16}) {
        const auto logits = random({33, num_experts}, 21, dtype);
        const auto routing = route(logits, k);
        ASSERT_EQ(routing.probabilities.sizes(), logits.sizes());
        ASSERT_EQ(routing.experts.sizes(), at::IntArrayRef({33, k}));
        EXPECT_EQ(routing.experts.scalar_type(), at::kLong);
        EXPECT_EQ(routing.gate_weights.scalar_type(), at::kFloat);
        EXPECT_TRUE(near(routing.probabilities, at::softmax(logits.to(at::kDouble), -1), 1e-6));
        for (int64_t token = 0; token < 33; ++token) {
          // The definition: repeatedly the first of the largest that are left.
          const float* p = routing.probabilities[token].const_data_ptr<float>();
          std::set<int64_t> taken;
          for (int64_t slot = 0; slot < k; ++slot) {
            int64_t best = -1;
            for (int64_t e = 0; e < num_experts; ++e) {
              if (!taken.contains(e) && (best < 0 || p[e] > p[best])) best = e;
            }
            taken.insert(best);
            ASSERT_EQ(routing.experts[token][slot].item<int64_t>(), best)
                << num_experts << " experts, slot " << slot;
            ASSERT_EQ(routing.gate_weights[token][slot].item<float>(), p[best]);
          }
        }
      }
    }
  }
}

TEST_P(RouteOnDevice, OfEqualProbabilitiesTheLowerIndexWins) {
  const auto all_equal = route(at::zeros({2, 31}), 3);
  EXPECT_TRUE(same_bits(all_equal.experts, at::arange(3, at::kLong).expand({2, 3})));
  const auto pairs = route(at::tensor({1.F, 5.F, 0.F, 5.F, 1.F}).view({1, 5}), 4);
  EXPECT_TRUE(same_bits(pairs.experts, at::tensor({1, 3, 0, 4}, at::kLong).view({1, 4})));
}

TEST_P(RouteOnDevice, TakesExtremeLogits) {
  const auto routing = route(at::tensor({-1e30F, 1e30F, -INFINITY}).view({1, 3}), 3);
  EXPECT_TRUE(
      same_bits(routing.experts, at::tensor({1, 0, 2}, at::kLong).view({1, 3})));  // 0 and 2 tie at p = 0
  EXPECT_TRUE(same_bits(routing.gate_weights, at::tensor({1.F, 0.F, 0.F}).view({1, 3})));
}

TEST_P(RouteOnDevice, NoTokens) {
  const auto routing = route(at::empty({0, 8}), 2);
  EXPECT_EQ(routing.experts.sizes(), at::IntArrayRef({0, 2}));
}

TEST_P(RouteOnDevice, TakesAnyStrides) {
  const auto logits = random({31, 8}, 22);
  EXPECT_TRUE(
      same_bits(route(logits.to(device()).t().contiguous().t(), 2).experts, route(logits, 2).experts));
}

// Whole numbers, so that the gate's product is exact in any order and every form has to choose the same.
TEST_P(RouteOnDevice, GateAndChoiceInOne) {
  for (const int64_t tokens : {0, 1, 31, 33, 129}) {
    for (const auto& [num_experts, k, width] : {std::tuple{1, 1, 1}, {8, 2, 33}, {31, 8, 40}, {129, 2, 16}}) {
      for (const auto dtype : {at::kFloat, at::kBFloat16}) {
        const auto x = at::round(random({tokens, width}, 26)).to(dtype);
        const auto gate = (at::round(random({num_experts, width}, 27)) / 4).to(dtype);
        const auto expected = route_top_k(at::mm(x.to(at::kFloat), gate.to(at::kFloat).t()), k);
        const auto on_device = [this](const at::Tensor& tensor) { return tensor.to(device()); };
        for (const auto& routing :
             {route_tokens(on_device(x), on_device(gate), k), PackedGate(on_device(gate))(on_device(x), k)}) {
          SCOPED_TRACE(::testing::Message() << tokens << " tokens, " << num_experts << " experts, k " << k);
          EXPECT_EQ(routing.experts.device().type(), device());
          EXPECT_TRUE(same_bits(routing.experts, expected.experts));
          EXPECT_TRUE(near(routing.probabilities, expected.probabilities, 1e-6));
          EXPECT_TRUE(near(routing.gate_weights, expected.gate_weights, 1e-6));
        }
      }
    }
  }
}

TEST(RouteTokens, CarriesTheGradientToTheGate) {
  const auto x = random({5, 6}, 28).requires_grad_(true), gate = random({7, 6}, 29).requires_grad_(true);
  const auto weight = random({5, 2}, 30);
  const auto ours =
      torch::autograd::grad({(route_tokens(x, gate, 2).gate_weights * weight).sum()}, {x, gate});
  const auto expected =
      torch::autograd::grad({(route_top_k(at::mm(x, gate.t()), 2).gate_weights * weight).sum()}, {x, gate});
  for (size_t i = 0; i < 2; ++i) EXPECT_TRUE(near(ours[i], expected[i], 1e-6)) << "input " << i;
}

TEST(RouteTokens, RejectsImpossibleSizes) {
  for (const auto& [x, gate, k] : {std::tuple{at::zeros({4, 3}), at::zeros({5, 2}), 1},
                                   {at::zeros({4, 3}), at::zeros({5, 3}), 6},
                                   {at::zeros({4, 3}), at::zeros({5, 3}), 0},
                                   {at::zeros({3}), at::zeros({5, 3}), 1}}) {
    EXPECT_ANY_THROW(route_tokens(x, gate, k));
    EXPECT_ANY_THROW(PackedGate{gate}(x, k));
  }
}

TEST(RouteTopK, RejectsImpossibleSizes) {
  EXPECT_ANY_THROW(route_top_k(at::zeros({4, 3}), 4));
  EXPECT_ANY_THROW(route_top_k(at::zeros({4, 3}), 0));
  EXPECT_ANY_THROW(route_top_k(at::zeros({3}), 1));
}

// p_e (1[e = j] - p_j) is the derivative of the softmax; the choice itself has none.
TEST(RouteTopK, GateWeightsCarryTheGradientOfTheSoftmax) {
  const auto logits = random({5, 7}, 23).requires_grad_(true);
  const auto routing = route_top_k(logits, 2);
  const auto weight = random({5, 2}, 24);
  const auto gradient = torch::autograd::grad({(routing.gate_weights * weight).sum()}, {logits})[0];
  const auto p = at::softmax(logits.detach().to(at::kDouble), -1);
  const auto dp = at::zeros({5, 7}, at::kDouble).scatter_(1, routing.experts, weight.to(at::kDouble));
  EXPECT_TRUE(near(gradient, p * (dp - (p * dp).sum(1, true)), 1e-6));
}

std::vector<std::pair<const char*, at::Tensor>> choices(int64_t tokens, int64_t num_experts, int64_t k) {
  const auto routed = route_top_k(random({tokens, num_experts}, 25), k).experts;
  return {{"routed", routed},
          {"all to the last", at::full({tokens, k}, num_experts - 1, at::kLong)},
          {"all to the first", at::zeros({tokens, k}, at::kLong)},
          {"every third expert", routed.div(3, "floor") * 3}};
}

TEST(OrderByExpert, EveryRowHasItsPlaceInWholeTiles) {
  for (const int64_t num_experts : kExpertCounts) {
    for (const int64_t tokens : kTokenCounts) {
      for (const int64_t k :
           {int64_t{1}, std::min<int64_t>(2, num_experts), std::min<int64_t>(8, num_experts)}) {
        for (const auto& [name, experts] : choices(tokens, num_experts, k)) {
          SCOPED_TRACE(::testing::Message()
                       << name << ": " << num_experts << " experts, " << tokens << " tokens, k " << k);
          const auto order = order_by_expert(experts, num_experts);
          ASSERT_EQ(order.begin.size(), static_cast<size_t>(num_experts + 1));
          ASSERT_EQ(order.begin.front(), 0);
          const int64_t rows = order.begin.back();
          ASSERT_EQ(order.token.sizes(), at::IntArrayRef({rows}));
          ASSERT_EQ(order.position.sizes(), at::IntArrayRef({tokens * k}));

          const int64_t* position = order.position.const_data_ptr<int64_t>();
          const int64_t* token = order.token.const_data_ptr<int64_t>();
          const auto chosen = experts.contiguous();
          const int64_t* expert = chosen.const_data_ptr<int64_t>();
          std::vector<int64_t> counts(num_experts), last(num_experts, -1);
          std::set<int64_t> places;
          for (int64_t row = 0; row < tokens * k; ++row) {
            const int64_t e = expert[row], at = position[row];
            ASSERT_TRUE(places.insert(at).second) << "place " << at << " is taken twice";
            ASSERT_GE(at, order.begin[e]);
            ASSERT_LT(at, order.begin[e + 1]);
            ASSERT_GT(at, last[e]) << "rows of one expert keep their order";
            ASSERT_EQ(token[at], row / k);
            last[e] = at;
            ++counts[e];
          }
          for (int64_t e = 0; e < num_experts; ++e) {
            const int64_t tiles = (counts[e] + kRowTile - 1) / kRowTile;
            ASSERT_EQ(order.begin[e + 1] - order.begin[e], tiles * kRowTile)
                << "expert " << e << ", " << counts[e] << " rows";
          }
          for (int64_t at = 0; at < rows; ++at) {
            if (!places.contains(at)) {
              ASSERT_EQ(token[at], 0) << "a row that only fills up";
            }
          }
        }
      }
    }
  }
}

TEST(OrderByExpert, NoTokens) {
  const auto order = order_by_expert(at::empty({0, 2}, at::kLong), 3);
  EXPECT_EQ(order.begin, std::vector<int64_t>(4));
  EXPECT_EQ(order.token.numel(), 0);
}

TEST(SelectTopK, BiasMovesTheChoiceAndNotTheWeights) {
  const auto p = at::softmax(random({33, 8}, 61), -1);
  const auto bias = random({1, 1, 8}, 62);
  const auto routing = select_top_k(p, 3, {bias, {}});
  EXPECT_TRUE(at::equal(routing.experts, std::get<1>((p + bias[0]).topk(3, 1))));
  EXPECT_TRUE(at::equal(routing.gate_weights, p.gather(1, routing.experts)));
  EXPECT_TRUE(at::equal(routing.probabilities, p));
}

TEST(SelectTopK, ScaleMovesTheWeightsAndNotTheChoice) {
  const auto p = at::softmax(random({34, 8}, 63), -1);
  const auto scale = random({2, 17, 8}, 64);
  const auto plain = select_top_k(p, 2), scaled = select_top_k(p, 2, {{}, scale}, 2);
  EXPECT_TRUE(at::equal(scaled.experts, plain.experts));
  EXPECT_TRUE(at::equal(scaled.gate_weights, plain.gate_weights * scale.view({34, 8}).gather(1, plain.experts)));
}

TEST(SelectTopK, MutedExpertsLeaveSlotsEmpty) {
  const auto p = at::softmax(random({5, 3}, 65), -1);
  auto bias = at::zeros({1, 5, 3});
  bias[0][2][0] = bias[0][2][1] = kMuted;
  const auto routing = select_top_k(p, 2, {bias, {}});
  EXPECT_TRUE(at::equal(routing.experts[2], at::tensor({int64_t{2}, kEmptySlot})));
  EXPECT_EQ(routing.gate_weights[2][1].item<float>(), 0);
  EXPECT_EQ(expert_choices(routing).sum().item<int64_t>(), 9);
}

TEST(SelectTopK, NotANumberIsChosenLastAndFillsNoSlotTwice) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto p = at::tensor({nan, 0.1f, nan, 0.9f, nan, nan, nan, nan}).view({2, 4});
  const auto routing = select_top_k(p, 3);
  EXPECT_TRUE(at::equal(routing.experts, at::tensor({3, 1, 0, 0, 1, 2}, at::kLong).view({2, 3})));
}

TEST(SelectTopK, RefusesControlOfOtherSizes) {
  const auto p = at::softmax(random({6, 4}, 66), -1);
  EXPECT_ANY_THROW(select_top_k(p, 2, {at::zeros({2, 2, 4}), {}}, 2));
  EXPECT_ANY_THROW(select_top_k(p, 2, {at::zeros({1, 1, 3}), {}}, 2));
  EXPECT_ANY_THROW(select_top_k(p, 2, {at::zeros({1, 1, 4}), {}}, 4));
}

// The definition, expert by expert.
TEST(SelectByExperts, EveryExpertTakesTheTokensThatScoreHighestInEachImage) {
  for (const auto& [images, tokens, experts, capacity] :
       {std::tuple{1, 1, 3, 1}, {3, 31, 8, 8}, {2, 33, 5, 33}, {1, 32, 1, 7}}) {
    const auto p = at::sigmoid(random({images * tokens, experts}, 67));  // no ties, with one expert either
    const auto routing = select_by_experts(p, capacity, {}, images);
    EXPECT_EQ(routing.most_rows(), images * experts * capacity);
    for (int64_t image = 0; image < images; ++image) {
      const auto of_image = p.narrow(0, image * tokens, tokens);
      for (int64_t e = 0; e < experts; ++e) {
        auto expected = at::zeros({tokens}, at::kBool);
        expected.index_fill_(0, std::get<1>(of_image.select(1, e).topk(capacity)), true);
        const auto slot = routing.experts.narrow(0, image * tokens, tokens).select(1, e);
        EXPECT_TRUE(at::equal(slot.eq(e), expected)) << "image " << image << ", expert " << e;
        EXPECT_TRUE(at::equal(slot.ne(kEmptySlot), expected));
      }
    }
    EXPECT_TRUE(at::equal(routing.gate_weights, p * routing.experts.ne(kEmptySlot)));
  }
}

TEST(SelectByExperts, OfEqualScoresTheFirstTokensAreTaken) {
  const auto routing = select_by_experts(at::full({7, 2}, 0.5), 3);
  EXPECT_TRUE(at::equal(routing.experts.ne(kEmptySlot).sum(1), at::tensor({2, 2, 2, 0, 0, 0, 0}, at::kLong)));
}

TEST(WriteGateWeights, PutsEveryWeightInItsExpertsPlace) {
  for (const bool by_experts : {false, true}) {
    const auto p = at::softmax(random({6, 5}, 68), -1);
    const auto routing = by_experts ? select_by_experts(p, 2, {}, 2) : select_top_k(p, 2);
    const auto larger = at::full({2, 3, 9}, 7.0);  // a part of something larger
    write_gate_weights(routing, larger.narrow(-1, 2, 5));
    auto expected = at::zeros({6, 5});
    for (int64_t t = 0; t < 6; ++t) {
      for (int64_t s = 0; s < routing.experts.size(1); ++s) {
        const auto e = routing.experts[t][s].item<int64_t>();
        if (e != kEmptySlot) expected[t][e] = routing.gate_weights[t][s];
      }
    }
    EXPECT_TRUE(at::equal(larger.narrow(-1, 2, 5).flatten(0, 1), expected));
    EXPECT_TRUE(at::equal(larger.narrow(-1, 0, 2), at::full({2, 3, 2}, 7.0)));
    EXPECT_TRUE(at::equal(larger.narrow(-1, 7, 2), at::full({2, 3, 2}, 7.0)));
  }
}

}  // namespace
}  // namespace switchyard::kernels

// The fused router beside route_top_k of the gate's product.
#include "kernels/routing/router_kernel.h"

#include "cases.h"
#include "kernels/routing/routing.h"

namespace switchyard::kernels::cuda {
namespace {

struct Case {
  std::int64_t tokens;
  int experts, k, width;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto tokens : kTokenCounts) {
    for (const int experts : kExpertCounts) all.push_back({tokens, experts, std::min(experts, 2), 33});
  }
  for (const int experts : {8, 31, 32, 33, 64, 127, 128}) all.push_back({33, experts, 8, 40});
  all.push_back({3, 8, 2, 1408});
  all.push_back({5, 16, 1, 1});
  return all;
}

// Small whole numbers: every product is exact in any order, and many tokens have ties.
at::Tensor whole_numbers(at::IntArrayRef shape, uint64_t seed) {
  return at::round(random(shape, seed) * 0.8);
}

struct Results {
  Rows probabilities, chosen, gate_weights, counts;
  Results(std::int64_t tokens, int experts, int k)
      : probabilities(tokens, experts, at::kFloat, 0),
        chosen(at::full({tokens, k}, -1, at::kInt), 0),
        gate_weights(tokens, k, at::kFloat, 0),
        counts(at::full({1, experts}, 77, at::kInt), 0) {}
};

Router arguments(const Case& c, at::ScalarType type, Rows& x, Rows* gate, Results& out) {
  return {dtype_of(type),
          c.tokens,
          gate ? c.width : c.experts,
          c.experts,
          c.k,
          x.data(),
          x.stride(),
          gate ? gate->data() : nullptr,
          gate ? gate->stride() : 0,
          c.tokens,
          {},
          {},
          static_cast<float*>(out.probabilities.data()),
          static_cast<std::int32_t*>(out.chosen.data()),
          static_cast<float*>(out.gate_weights.data()),
          static_cast<std::int32_t*>(out.counts.data())};
}

void expect_equal(Results& out, const Routing& expected, int experts) {
  EXPECT_TRUE(near(out.probabilities.values(), expected.probabilities, 1e-6));
  EXPECT_TRUE(same_bits(out.chosen.values().to(at::kLong), expected.experts));
  EXPECT_TRUE(near(out.gate_weights.values(), expected.gate_weights, 1e-6));
  EXPECT_TRUE(same_bits(out.counts.values().view(-1).to(at::kLong),
                        at::bincount(expected.experts.flatten(), {}, experts)));
}

std::string text(const Case& c, at::ScalarType type) {
  return std::string(toString(type)) + ", " + std::to_string(c.tokens) + " tokens, " +
         std::to_string(c.experts) + " experts, k " + std::to_string(c.k) + ", width " +
         std::to_string(c.width);
}

TEST(CudaRouter, EqualsTheOperation) {
  for (const auto& c : cases()) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      if (type == at::kBFloat16 && c.tokens > 33) continue;  // it changes how operands are read, nothing else
      // Rows of the gate are scaled so that logits stay in a range where fp32's softmax tells them apart.
      const auto x = whole_numbers({c.tokens, c.width}, 91).to(type);
      auto gate = whole_numbers({c.experts, c.width}, 92);
      if (c.width > 64) gate *= at::arange(c.width).lt(64);
      const auto expected = route_top_k(at::mm(x.to(at::kFloat), gate.t()) / 8, c.k);
      under_each_schedule(text(c, type), [&] {
        Rows in(x, 3), weights((gate / 8).to(type), 5);
        Results out(c.tokens, c.experts, c.k);
        route(arguments(c, type, in, &weights, out), {});
        expect_equal(out, expected, c.experts);
      });
    }
  }
}

TEST(CudaRouter, TakesLogits) {
  for (const Case& c : {Case{33, 8, 2, 8}, {129, 31, 8, 31}, {5, 128, 8, 128}}) {
    const auto logits = random({c.tokens, c.experts}, 93, at::kBFloat16) * 4;
    const auto expected = route_top_k(logits, c.k);
    under_each_schedule(text(c, at::kBFloat16), [&] {
      Rows in(logits, 2);
      Results out(c.tokens, c.experts, c.k);
      route(arguments(c, at::kBFloat16, in, nullptr, out), {});
      expect_equal(out, expected, c.experts);
    });
  }
}

TEST(CudaRouter, TakesExtremeLogits) {
  const Case c{2, 3, 3, 3};
  const auto logits = at::tensor({-1e30F, 1e30F, -INFINITY, 0.F, 0.F, 0.F}).view({2, 3});
  under_each_schedule("extreme", [&] {
    Rows in(logits, 1);
    Results out(c.tokens, c.experts, c.k);
    route(arguments(c, at::kFloat, in, nullptr, out), {});
    EXPECT_TRUE(same_bits(out.chosen.values(), at::tensor({1, 0, 2, 0, 1, 2}, at::kInt).view({2, 3})));
  });
}

TEST(CudaRouter, NotANumberStillGivesDifferentExperts) {  // so that nothing is written out of bounds later
  const Case c{1, 40, 3, 40};
  under_each_schedule("NaN", [&] {
    Rows in(at::full({1, 40}, NAN), 1);
    Results out(c.tokens, c.experts, c.k);
    route(arguments(c, at::kFloat, in, nullptr, out), {});
    EXPECT_TRUE(same_bits(out.chosen.values(), at::tensor({0, 1, 2}, at::kInt).view({1, 3})));
    EXPECT_TRUE(at::isnan(out.gate_weights.values()).all().item<bool>());
  });
}

// Control of every shape: muted and forced experts, scaled weights, for all images and tokens or for some.
TEST(CudaRouter, FollowsBiasAndScale) {
  constexpr std::int64_t kImages = 3;
  for (const Case& c : {Case{33, 8, 2, 8}, {93, 31, 8, 31}, {6, 40, 3, 40}}) {
    const auto logits = random({c.tokens, c.experts}, 94) * 4;
    const std::int64_t tokens = c.tokens / kImages;
    for (const auto& [images, of_tokens] : {std::pair{std::int64_t{1}, std::int64_t{1}}, {kImages, 1}, {1, tokens}, {kImages, tokens}}) {
      const auto dice = random({images, of_tokens, c.experts}, 96);
      const auto zero = at::zeros_like(dice);
      auto bias = at::where(dice > 0.7, zero + kForced, at::where(dice < -0.3, zero + kMuted, dice));
      bias[0][0].fill_(kMuted);  // of these tokens, one expert is left
      bias[0][0][c.experts - 1] = 0;
      const Selection selection{bias, random({images, of_tokens, c.experts}, 97)};
      const auto expected = select_top_k(at::softmax(logits, -1), c.k, selection, kImages);
      ASSERT_TRUE((expected.experts == kEmptySlot).any().item<bool>());
      under_each_schedule(text(c, at::kFloat), [&, images = images, of_tokens = of_tokens] {
        Rows in(logits, 2), b(bias.flatten(0, 1), 3), s(selection.scale.flatten(0, 1), 1);
        Results out(c.tokens, c.experts, c.k);
        auto a = arguments(c, at::kFloat, in, nullptr, out);
        a.tokens_per_image = tokens;
        const auto control = [&](Rows& rows) {
          return Control{static_cast<float*>(rows.data()), images == 1 ? 0 : of_tokens * rows.stride(),
                         of_tokens == 1 ? 0 : rows.stride()};
        };
        a.bias = control(b);
        a.scale = control(s);
        route(a, {});
        EXPECT_TRUE(near(out.probabilities.values(), expected.probabilities, 1e-6));
        EXPECT_TRUE(same_bits(out.chosen.values().to(at::kLong), expected.experts));
        EXPECT_TRUE(near(out.gate_weights.values(), expected.gate_weights, 1e-6));
        EXPECT_TRUE(same_bits(out.counts.values().view(-1).to(at::kLong), expert_choices(expected)));
      });
    }
  }
}

TEST(CudaRouter, NoTokensAndImpossibleSizes) {
  std::int32_t counts[4] = {7, 7, 7, 7};
  Router none{};
  none.experts = none.width = 4;
  none.k = 2;
  none.counts = counts;
  route(none, {});
  EXPECT_EQ(counts[0] + counts[1] + counts[2] + counts[3], 0);
  for (const auto& [experts, k] : {std::pair{4, 5}, {4, 0}, {129, 2}, {16, 9}, {0, 0}}) {
    none.experts = none.width = experts;
    none.k = k;
    EXPECT_THROW(route(none, {}), std::invalid_argument) << experts << " experts, k " << k;
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

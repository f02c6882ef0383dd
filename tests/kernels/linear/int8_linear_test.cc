// Layers of 8 bits against their definition in double, the error that 8 bits cost, and the promise that a row
// depends on itself alone.
#include "kernels/linear/int8_linear.h"

#include "../compare.h"
#include "kernels/experts/experts.h"
#include "kernels/linear/linear.h"

namespace switchyard::kernels {
namespace {

struct Layer {
  int64_t in, out;
};
constexpr Layer kLayers[] = {{1, 1}, {3, 5}, {31, 33}, {176, 192}, {192, 576}, {257, 31}, {1536, 48}};
constexpr int64_t kRows[] = {0, 1, 2, 15, 31, 33, 128};

class Int8 : public ::testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!has_int8_products()) GTEST_SKIP() << "no int8 products on this processor";
  }
  // of one rounding to the dtype
  static double limit() { return GetParam() == at::kFloat ? 1e-6 : 4e-3; }
};

INSTANTIATE_TEST_SUITE_P(Dtypes, Int8, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& instance) { return toString(instance.param); });

TEST_P(Int8, RowsAreQuantisedAsDefined) {
  for (const int64_t width : {1, 15, 16, 33, 192}) {
    auto x = random({5, width}, 1, GetParam());
    x[3].zero_();
    const auto q = quantise_rows(x);
    const auto scales = x.to(at::kFloat).abs().amax(1) / 127.0f;
    EXPECT_TRUE(same_bits(q.scales, scales)) << width;
    const auto back = (q.values.to(at::kFloat) - 128) * q.scales.unsqueeze(1);
    // half a step, and the rounding of 127 / max
    EXPECT_TRUE(((back - x.to(at::kFloat)).abs() <= scales.unsqueeze(1) * 0.5001).all().item<bool>())
        << width;
    EXPECT_EQ((q.values.to(at::kInt) - 128).abs().amax(1).slice(0, 0, 3).ne(127).sum().item<int64_t>(), 0);
  }
}

TEST_P(Int8, EqualsTheDefinition) {
  for (const auto& layer : kLayers) {
    for (const bool with_bias : {false, true}) {
      const auto w = random({layer.out, layer.in}, 2, GetParam());
      const auto b = with_bias ? random({layer.out}, 3, GetParam()) : at::Tensor();
      const Int8Linear packed(w, b);
      for (const int64_t rows : kRows) {
        const auto x = random({rows, layer.in}, 4, GetParam());
        EXPECT_TRUE(near(packed(x), int8_linear_reference(x, w, b), limit()))
            << layer.in << " to " << layer.out << ", " << rows << " rows, bias " << with_bias;
      }
    }
  }
}

// Signs, zeros and one large number in a row.
TEST_P(Int8, EqualsTheDefinitionForUnevenRows) {
  auto x = random({6, 64}, 5, GetParam()), w = random({40, 64}, 6, GetParam());
  x[0].zero_();
  x[1].abs_();
  x[2].abs_().neg_();
  x[3][7] = 1000;
  w[0].zero_();
  w[1].abs_();
  w[2][3] = -50;
  EXPECT_TRUE(near(Int8Linear(w, {})(x), int8_linear_reference(x, w, {}), limit()));
}

TEST_P(Int8, CostsAboutOnePercent) {
  const auto x = random({256, 384}, 7, GetParam()), w = random({512, 384}, 8, GetParam());
  const auto exact = at::matmul(x.to(at::kDouble), w.to(at::kDouble).t());
  const auto error = Int8Linear(w, {})(x).to(at::kDouble) - exact;
  const double relative = (error.square().mean().sqrt() / exact.square().mean().sqrt()).item<double>();
  EXPECT_LT(relative, 0.015);
  EXPECT_GT(relative, 0.002) << "these are not 8 bits";
}

TEST_P(Int8, ARowDoesNotDependOnHowManyThereAre) {
  for (const auto& layer : {Layer{31, 33}, Layer{192, 576}, Layer{384, 64}}) {
    const Int8Linear packed(random({layer.out, layer.in}, 9, GetParam()),
                            random({layer.out}, 10, GetParam()));
    const Int8SwiGlu network(random({2 * layer.out, layer.in}, 11, GetParam()),
                             random({layer.in, layer.out}, 12, GetParam()));
    const auto x = random({65, layer.in}, 13, GetParam());
    const auto all = packed(x), all_network = network(x);
    for (int64_t rows = 1; rows <= 65; ++rows) {
      EXPECT_TRUE(same_bits(packed(x.narrow(0, 0, rows)), all.narrow(0, 0, rows))) << rows;
      EXPECT_TRUE(same_bits(network(x.narrow(0, 0, rows)), all_network.narrow(0, 0, rows))) << rows;
    }
  }
}

TEST_P(Int8, SwiGluIsItsTwoLayers) {
  for (const auto& [width, hidden] : {std::pair{1, 1}, {31, 33}, {192, 176}}) {
    const auto gate_up = random({2 * hidden, width}, 14, GetParam()) / std::sqrt(width);
    const auto down = random({width, hidden}, 15, GetParam());
    const auto x = random({33, width}, 16, at::kFloat);
    const auto gu = int8_linear_reference(x, gate_up, {}).chunk(2, 1);
    const auto y = int8_linear_reference(at::silu(gu[0]) * gu[1], down, {});
    // A last bit of the activation may round to the next of 8 bits.
    EXPECT_TRUE(near(Int8SwiGlu(gate_up, down)(x), y, 2e-3)) << width << ", " << hidden;
  }
}

TEST_P(Int8, PackedFormsTakeIt) {
  const auto w = random({48, 32}, 17, GetParam()), b = random({48}, 18, GetParam());
  const auto x = random({2, 5, 32}, 19, GetParam());
  EXPECT_TRUE(same_bits(PackedLinear(w, b, {Products::int8})(x), Int8Linear(w, b)(x)));
  const auto gate_up = random({2 * 24, 32}, 20, GetParam()), down = random({32, 24}, 21, GetParam());
  EXPECT_TRUE(same_bits(PackedSwiGlu(gate_up, down, {Products::int8})(x), Int8SwiGlu(gate_up, down)(x)));
}

TEST_P(Int8, EveryExpertIsItsOwnNetwork) {
  constexpr int64_t kExperts = 5, kWidth = 32, kHidden = 24;
  const auto gate_up = random({kExperts, 2 * kHidden, kWidth}, 24, GetParam());
  const auto down = random({kExperts, kWidth, kHidden}, 25, GetParam());
  const auto x = random({33, kWidth}, 26, GetParam());
  const auto routing = route_top_k(random({33, kExperts}, 27), 2);
  auto expected = at::zeros({33, kWidth});
  for (int64_t e = 0; e < kExperts; ++e) {
    const auto weight = (routing.gate_weights * (routing.experts == e)).sum(1, /*keepdim=*/true);
    expected += weight * Int8SwiGlu(gate_up[e], down[e])(x).to(at::kFloat);
  }
  EXPECT_TRUE(near(PackedExperts(gate_up, down, {Products::int8})(x, routing), expected, 3 * limit()));
}

TEST_P(Int8, WhatIsNotANumberStaysVisible) {
  auto x = random({3, 20}, 22, GetParam());
  x[1][17] = std::numeric_limits<float>::quiet_NaN();
  const auto y = Int8Linear(random({8, 20}, 23, GetParam()), {})(x);
  EXPECT_TRUE(y[1].isnan().all().item<bool>());
  EXPECT_FALSE(y[0].isnan().any().item<bool>());
  EXPECT_FALSE(y[2].isnan().any().item<bool>());
}

}  // namespace
}  // namespace switchyard::kernels

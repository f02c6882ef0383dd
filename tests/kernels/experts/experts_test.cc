// Routed experts against the form that evaluates every expert on every token: values and all four gradients.
#include "kernels/experts/experts.h"

#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "../compare.h"

namespace switchyard::kernels {
namespace {

struct Case {
  int64_t tokens, num_experts, k, width, hidden;
  bool skewed = false;  // most experts get no token
  bool ragged = false;  // the experts choose: tokens have any number of them
};

constexpr Case kCases[] = {
    {1, 1, 1, 4, 4},       {1, 8, 2, 16, 24},         {31, 8, 2, 32, 48},  {33, 3, 3, 20, 12},
    {127, 16, 2, 32, 32},  {127, 8, 2, 32, 48, true}, {33, 31, 8, 16, 16}, {31, 71, 2, 24, 8, true},
    {127, 4, 1, 192, 176}, {64, 40, 4, 8, 136},        {31, 8, 2, 32, 48, false, true},
    {33, 3, 2, 20, 12, true, true},  {127, 16, 1, 32, 32, false, true},
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.tokens << " tokens, " << c.num_experts << " experts, k " << c.k << ", width " << c.width
             << ", hidden " << c.hidden << (c.skewed ? ", skewed" : "") << (c.ragged ? ", ragged" : "");
}

struct Inputs {
  at::Tensor x, gate_up, down;
  Routing routing;  // gate weights as chosen, of any scale

  std::vector<at::Tensor> leaves() const { return {x, routing.gate_weights, gate_up, down}; }
  Inputs to(at::ScalarType dtype, at::ScalarType weights_dtype) const {
    return {x.to(dtype),
            gate_up.to(dtype),
            down.to(dtype),
            {routing.probabilities, routing.experts, routing.gate_weights.to(weights_dtype)}};
  }
  Inputs on(at::DeviceType device) const {
    return {x.to(device),
            gate_up.to(device),
            down.to(device),
            {routing.probabilities.to(device), routing.experts.to(device), routing.gate_weights.to(device)}};
  }
  Inputs with_gradient() const {
    const auto leaf = [](const at::Tensor& tensor) { return tensor.detach().clone().requires_grad_(true); };
    return {leaf(x),
            leaf(gate_up),
            leaf(down),
            {routing.probabilities, routing.experts, leaf(routing.gate_weights)}};
  }
};

Inputs inputs_of(const Case& c, at::ScalarType dtype) {
  auto logits = random({c.tokens, c.num_experts}, 41);
  if (c.skewed) logits += at::arange(c.num_experts).lt(c.k + 1) * 20;
  const double in = 1 / std::sqrt(static_cast<double>(c.width)),
               out = 1 / std::sqrt(static_cast<double>(c.hidden));
  return {random({c.tokens, c.width}, 42).to(dtype),
          (random({c.num_experts, 2 * c.hidden, c.width}, 43) * in).to(dtype),
          (random({c.num_experts, c.width, c.hidden}, 44) * out).to(dtype),
          c.ragged ? select_by_experts(at::softmax(logits, -1), std::max<int64_t>(1, c.k * c.tokens / c.num_experts))
                   : route_top_k(logits, c.k)};
}

// One token after the other, in double.
at::Tensor definition(const Inputs& in) {
  const auto d = in.to(at::kDouble, at::kDouble);
  auto y = at::zeros_like(d.x);
  for (int64_t token = 0; token < y.size(0); ++token) {
    for (int64_t slot = 0; slot < in.routing.experts.size(1); ++slot) {
      const int64_t e = in.routing.experts[token][slot].item<int64_t>(), hidden = d.down.size(2);
      if (e == kEmptySlot) continue;
      const auto g = d.gate_up[e].narrow(0, 0, hidden).mv(d.x[token]),
                 u = d.gate_up[e].narrow(0, hidden, hidden).mv(d.x[token]);
      y[token] += d.routing.gate_weights[token][slot] * d.down[e].mv(g / (1 + at::exp(-g)) * u);
    }
  }
  return y;
}

constexpr std::pair<at::ScalarType, double> kDtypes[] = {{at::kFloat, 1e-5}, {at::kBFloat16, 3e-2}};

TEST(RoutedExperts, EqualTheDefinition) {
  for (const auto& c : kCases) {
    for (const auto& [dtype, limit] : kDtypes) {
      const auto in = inputs_of(c, dtype);
      const auto expected = definition(in);
      EXPECT_TRUE(near(routed_experts_reference(in.x, in.routing, in.gate_up, in.down), expected, limit))
          << c;
      const auto y = routed_experts(in.x, in.routing, in.gate_up, in.down);
      EXPECT_EQ(y.scalar_type(), dtype);
      EXPECT_TRUE(near(y, expected, limit)) << toString(dtype) << ", " << c;
    }
  }
}

TEST(RoutedExperts, SomeCasesLeaveExpertsWithoutTokens) {  // else the tests above would miss that path
  const auto order = order_by_expert(inputs_of(kCases[5], at::kFloat).routing.experts, kCases[5].num_experts);
  EXPECT_EQ(order.begin[4], order.begin[5]);
}

class RoutedExpertsGradient : public OnDevice {};
ON_EVERY_DEVICE(RoutedExpertsGradient);

TEST_P(RoutedExpertsGradient, EqualsThatOfTheReference) {
  for (const auto& c : kCases) {
    for (const auto& [dtype, limit] : kDtypes) {
      const auto in = inputs_of(c, dtype);
      const auto weight = random({c.tokens, c.width}, 45);
      const auto ours = in.on(device()).with_gradient(),
                 plain = in.to(at::kDouble, at::kDouble).with_gradient();
      const auto gradients = torch::autograd::grad(
          {(routed_experts(ours.x, ours.routing, ours.gate_up, ours.down) * weight.to(device(), dtype))
               .sum()},
          ours.leaves());
      const auto expected = torch::autograd::grad(
          {(routed_experts_reference(plain.x, plain.routing, plain.gate_up, plain.down) *
            weight.to(dtype).to(at::kDouble))
               .sum()},
          plain.leaves());
      const char* names[] = {"x", "gate weights", "gate_up", "down"};
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(gradients[i].scalar_type(), ours.leaves()[i].scalar_type());
        EXPECT_TRUE(near(gradients[i], expected[i], limit))
            << "d " << names[i] << ", " << toString(dtype) << ", " << c;
      }
    }
  }
}

TEST(RoutedExperts, TakeOddStrides) {
  const auto in = inputs_of(kCases[2], at::kFloat);
  const auto strided = [](const at::Tensor& tensor) {
    return tensor.transpose(0, -1).contiguous().transpose(0, -1);
  };
  const auto ours = Inputs{strided(in.x), strided(in.gate_up), strided(in.down), in.routing}.with_gradient();
  const auto plain = in.with_gradient();
  const auto y = routed_experts(ours.x, ours.routing, ours.gate_up, ours.down);
  EXPECT_TRUE(near(y, routed_experts_reference(in.x, in.routing, in.gate_up, in.down), 1e-5));
  // sum() hands down a gradient of stride 0.
  const auto gradients = torch::autograd::grad({y.sum()}, ours.leaves());
  const auto expected = torch::autograd::grad(
      {routed_experts_reference(plain.x, plain.routing, plain.gate_up, plain.down).sum()}, plain.leaves());
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(near(gradients[i], expected[i], 1e-5)) << i;
}

TEST(RoutedExperts, NoTokens) {
  const auto in = inputs_of({0, 4, 2, 8, 8}, at::kFloat).with_gradient();
  const auto y = routed_experts(in.x, in.routing, in.gate_up, in.down);
  EXPECT_EQ(y.sizes(), in.x.sizes());
  const auto gradients = torch::autograd::grad({y.sum()}, in.leaves());
  EXPECT_TRUE(same_bits(gradients[2], at::zeros_like(in.gate_up)));
}

TEST(Swiglu, EqualsTheDefinition) {
  for (const auto& [dtype, limit] : kDtypes) {
    const auto x = random({2, 31, 24}, 46, dtype), gate_up = random({40, 24}, 47, dtype),
               down = random({24, 20}, 48, dtype);
    const auto hidden = at::matmul(x.to(at::kDouble), gate_up.to(at::kDouble).t());
    const auto g = hidden.narrow(-1, 0, 20), u = hidden.narrow(-1, 20, 20);
    const auto expected = at::matmul(g / (1 + at::exp(-g)) * u, down.to(at::kDouble).t());
    EXPECT_TRUE(near(swiglu(x, gate_up, down), expected, limit));
  }
}

struct Form {
  at::DeviceType device;
  at::ScalarType dtype;
  double limit;
};

// The packed forms run on any processor; without bf16 products in hardware the bf16 cases only cost time and
// say nothing.
class PackedForms : public ::testing::TestWithParam<Form> {
 protected:
  void SetUp() override {
    if (device() == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no GPU";
    if (device() == at::kCPU && dtype() == at::kBFloat16 && !has_bf16_products())
      GTEST_SKIP() << "no bf16 products on this processor";
  }
  static at::DeviceType device() { return GetParam().device; }
  static at::ScalarType dtype() { return GetParam().dtype; }
  static double limit() { return GetParam().limit; }
  static Inputs inputs(const Case& c) { return inputs_of(c, dtype()).on(device()); }
};

INSTANTIATE_TEST_SUITE_P(DevicesAndDtypes, PackedForms,
                         ::testing::Values(Form{at::kCPU, at::kFloat, 1e-5},
                                           Form{at::kCPU, at::kBFloat16, 3e-2},
                                           Form{at::kCUDA, at::kFloat, 1e-5},
                                           Form{at::kCUDA, at::kBFloat16, 3e-2}),
                         [](const auto& instance) {
                           return at::DeviceTypeName(instance.param.device) + toString(instance.param.dtype);
                         });

TEST_P(PackedForms, ExpertsEqualTheDefinition) {
  for (const auto& c : kCases) {
    const auto in = inputs(c);
    const auto y = PackedExperts(in.gate_up, in.down)(in.x, in.routing);
    EXPECT_EQ(y.scalar_type(), dtype());
    EXPECT_TRUE(near(y, definition(inputs_of(c, dtype())), limit())) << c;
  }
}

TEST_P(PackedForms, ATokenDoesNotDependOnTheOthers) {
  if (device() == at::kCUDA && dtype() == at::kFloat)
    GTEST_SKIP() << "fp32 on a GPU goes through cuBLAS, which chooses its kernel by the number of rows";
  for (const Case c : {Case{127, 8, 2, 192, 176}, Case{127, 4, 2, 32, 48}}) {
    const auto in = inputs(c);
    const PackedExperts experts(in.gate_up, in.down);
    const auto all = experts(in.x, in.routing);
    for (const int64_t tokens : {1, 2, 15, 31, 64}) {
      const Routing part{in.routing.probabilities.narrow(0, 0, tokens),
                         in.routing.experts.narrow(0, 0, tokens),
                         in.routing.gate_weights.narrow(0, 0, tokens)};
      EXPECT_TRUE(same_bits(experts(in.x.narrow(0, 0, tokens), part), all.narrow(0, 0, tokens)))
          << tokens << " of " << c;
    }
  }
}

TEST_P(PackedForms, SwigluEqualsThePlainForm) {
  const auto gate_up = random({352, 192}, 49) / 14, down = random({192, 176}, 50) / 14;
  const PackedSwiGlu packed(gate_up.to(device(), dtype()), down.to(device(), dtype()));
  for (const int64_t rows : {1, 2, 15, 31, 64, 257}) {
    const auto x = random({rows, 192}, 51, dtype());
    const auto expected =
        swiglu(x.to(at::kDouble), gate_up.to(dtype()).to(at::kDouble), down.to(dtype()).to(at::kDouble));
    EXPECT_TRUE(near(packed(x.to(device())), expected, limit())) << rows << " rows";
    EXPECT_TRUE(near(packed(x.to(device()).view({1, rows, 192}))[0], expected, limit())) << rows << " rows";
  }
}

}  // namespace
}  // namespace switchyard::kernels

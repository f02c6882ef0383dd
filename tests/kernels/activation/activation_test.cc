// A number's activation is right, and does not depend on how many numbers there are or who computes them.
#include "kernels/activation/activation.h"

#include <ATen/Parallel.h>

#include "../compare.h"
#include "kernels/linear/linear.h"

namespace switchyard::kernels {
namespace {

struct Activation {
  const char* name;
  at::Tensor (*run)(const at::Tensor&);
  at::Tensor (*definition)(const at::Tensor&);
};

class ActivationTest : public ::testing::TestWithParam<std::tuple<Activation, at::ScalarType>> {
 protected:
  const Activation& activation() const { return std::get<Activation>(GetParam()); }
  at::ScalarType dtype() const { return std::get<at::ScalarType>(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(
    Each, ActivationTest,
    ::testing::Combine(::testing::Values(Activation{"silu", silu,
                                                    [](const at::Tensor& x) { return x * at::sigmoid(x); }},
                                         Activation{"gelu", gelu,
                                                    [](const at::Tensor& x) {
                                                      const auto u =
                                                          std::sqrt(2 / M_PI) * (x + 0.044715 * x.pow(3));
                                                      return 0.5 * x * (1 + at::tanh(u));
                                                    }}),
                       ::testing::Values(at::kFloat, at::kBFloat16)),
    [](const auto& instance) {
      return std::string(std::get<0>(instance.param).name) + toString(std::get<1>(instance.param));
    });

TEST_P(ActivationTest, EqualsTheDefinition) {
  for (const int64_t n : {0, 1, 15, 16, 31, 33, 1000}) {
    const auto x = (random({n}, 1) * 5).to(dtype());
    const auto y = activation().run(x);
    EXPECT_EQ(y.scalar_type(), dtype());
    EXPECT_TRUE(near(y, activation().definition(x.to(at::kDouble)), dtype() == at::kFloat ? 1e-6 : 4e-3))
        << n;
  }
  const auto far = at::tensor({-1e4, -100.0, 100.0, 1e4}).to(dtype());
  EXPECT_TRUE(near(activation().run(far), at::relu(far), 1e-6));
}

TEST_P(ActivationTest, ANumberDependsOnItselfAlone) {
  const int before = at::get_num_threads();
  const auto x = random({225, 1152}, 2, dtype());
  const auto all = activation().run(x);
  for (const int threads : {1, 3, 8}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(same_bits(activation().run(x), all)) << threads << " threads";
    for (const int64_t rows : {1, 2, 50})
      EXPECT_TRUE(same_bits(activation().run(x.narrow(0, 3, rows)), all.narrow(0, 3, rows))) << rows;
  }
  at::set_num_threads(before);
  for (const int64_t n : {1, 7, 17, 24})
    EXPECT_TRUE(same_bits(activation().run(x[0].narrow(0, 5, n)), all[0].narrow(0, 5, n))) << n;
}

TEST_P(ActivationTest, TakesOddStridesAndGivesAGradient) {
  const auto x = random({5, 24}, 3, dtype());
  EXPECT_TRUE(same_bits(activation().run(x.t()), activation().run(x).t()));
  auto leaf = x.to(at::kFloat).detach().requires_grad_();
  activation().run(leaf).sum().backward();
  EXPECT_TRUE(leaf.grad().defined());
}

}  // namespace
}  // namespace switchyard::kernels

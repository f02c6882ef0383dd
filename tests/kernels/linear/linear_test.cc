// Packed linear layers against x W^T + b in double, and their promise that a row's result depends on that row
// alone.
#include "kernels/linear/linear.h"

#include <ATen/Parallel.h>

#include "../compare.h"

namespace switchyard::kernels {
namespace {

constexpr int64_t kRows[] = {1, 2, 15, 31, 64, 257};

struct Layer {
  int64_t in, out;
};
constexpr Layer kLayers[] = {{1, 1},   {3, 5},    {31, 33},  {176, 192}, {192, 576},
                             {192, 8}, {256, 33}, {384, 64}, {385, 33},  {1536, 48}};

// Of models, and with sums that oneDNN is known to cut up (168, 240, 360, 384 and more than that).
constexpr Layer kLayersOfModels[] = {{48, 192},  {176, 192}, {192, 48},   {192, 576}, {192, 8},
                                     {168, 576}, {240, 256}, {360, 192},  {384, 64},  {384, 1536},
                                     {496, 256}, {512, 512}, {1536, 384}, {3072, 768}};

class PackedLinearTest : public ::testing::TestWithParam<std::pair<at::ScalarType, double>> {
 protected:
  void SetUp() override {
    if (dtype() == at::kBFloat16 && !has_bf16_products())
      GTEST_SKIP() << "no bf16 products on this processor";
  }
  at::ScalarType dtype() const { return GetParam().first; }
  double limit() const { return GetParam().second; }
  at::Tensor weight(const Layer& layer) const {
    return (random({layer.out, layer.in}, 61) / std::sqrt(static_cast<double>(layer.in))).to(dtype());
  }
  at::Tensor bias(const Layer& layer) const { return random({layer.out}, 62, dtype()); }
};

INSTANTIATE_TEST_SUITE_P(Dtypes, PackedLinearTest,
                         ::testing::Values(std::pair{at::kFloat, 1e-5}, std::pair{at::kBFloat16, 1e-2}),
                         [](const auto& instance) { return toString(instance.param.first); });

at::Tensor definition(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto y = at::matmul(x.to(at::kDouble), weight.to(at::kDouble).t());
  return bias.defined() ? y + bias.to(at::kDouble) : y;
}

TEST_P(PackedLinearTest, EqualsTheDefinition) {
  for (const auto& layer : kLayers) {
    for (const bool with_bias : {false, true}) {
      const auto w = weight(layer), b = with_bias ? bias(layer) : at::Tensor();
      const PackedLinear packed(w, b);
      EXPECT_TRUE(packed.defined());
      for (const int64_t rows : kRows) {
        const auto x = random({rows, layer.in}, 63, dtype()), other = random({rows, layer.out}, 64, dtype());
        const auto y = definition(x, w, b);
        SCOPED_TRACE(::testing::Message()
                     << layer.in << " to " << layer.out << ", " << rows << " rows, bias " << with_bias);
        EXPECT_EQ(packed(x).scalar_type(), dtype());
        EXPECT_TRUE(near(packed(x), y, limit()));
        EXPECT_TRUE(near(packed.swish(x), y * at::sigmoid(y), limit()));
        EXPECT_TRUE(near(packed.times(x, other), y * other.to(at::kDouble), limit()));
        EXPECT_TRUE(near(linear_reference(x, w, b), y, limit()));
      }
    }
  }
}

TEST_P(PackedLinearTest, KeepsLeadingAxes) {
  const Layer layer{31, 33};
  const PackedLinear packed(weight(layer), bias(layer));
  const auto x = random({2, 3, 31}, 65, dtype()), other = random({2, 3, 33}, 66, dtype());
  const auto rows = x.view({6, 31}), other_rows = other.view({6, 33});
  EXPECT_TRUE(same_bits(packed(x), packed(rows).view({2, 3, 33})));
  EXPECT_TRUE(same_bits(packed.swish(x), packed.swish(rows).view({2, 3, 33})));
  EXPECT_TRUE(same_bits(packed.times(x, other), packed.times(rows, other_rows).view({2, 3, 33})));
  EXPECT_TRUE(same_bits(packed(x[0][0]), packed(rows)[0]));
  EXPECT_EQ(packed(x.narrow(0, 0, 0)).sizes(), at::IntArrayRef({0, 3, 33}));
}

TEST_P(PackedLinearTest, ARowDoesNotDependOnHowManyThereAre) {
  // On every core of a small and of a larger machine: libraries also cut sums up among threads.
  const int threads = at::get_num_threads();
  for (const Layer layer : kLayersOfModels) {
    for (const int several : {threads, 16}) {
      at::set_num_threads(several);
      const PackedLinear packed(weight(layer), bias(layer));
      const auto x = random({257, layer.in}, 67, dtype()), other = random({257, layer.out}, 68, dtype());
      const auto all = packed(x), all_swish = packed.swish(x), all_times = packed.times(x, other);
      int64_t different = 0, first = 0;
      for (int64_t rows = 1; rows <= 64; ++rows) {
        const auto part = x.narrow(0, 0, rows), part_other = other.narrow(0, 0, rows);
        const bool same = at::equal(packed(part), all.narrow(0, 0, rows)) &&
                          at::equal(packed.swish(part), all_swish.narrow(0, 0, rows)) &&
                          at::equal(packed.times(part, part_other), all_times.narrow(0, 0, rows));
        if (!same && different++ == 0) first = rows;
      }
      EXPECT_EQ(different, 0) << layer.in << " to " << layer.out << " on " << several
                              << " threads: of 1 .. 64 rows, first at " << first << " rows";
    }
  }
  at::set_num_threads(threads);
}

TEST_P(PackedLinearTest, TakesOddStrides) {
  const Layer layer{24, 40};
  const auto w = weight(layer), b = bias(layer);
  const auto x = random({31, 24}, 69, dtype()), other = random({31, 40}, 70, dtype());
  const auto transposed = [](const at::Tensor& tensor) { return tensor.t().contiguous().t(); };
  const auto every_second = [](const at::Tensor& tensor) {
    return at::repeat_interleave(tensor, 2, 1).slice(1, 0, {}, 2);
  };
  const PackedLinear plain(w, b);
  for (const PackedLinear& packed : {PackedLinear(transposed(w), b), PackedLinear(every_second(w), b)}) {
    for (const auto& view : {transposed(x), every_second(x)}) {
      EXPECT_TRUE(same_bits(packed(view), plain(x)));
      EXPECT_TRUE(same_bits(packed.swish(view), plain.swish(x)));
      EXPECT_TRUE(same_bits(packed.times(view, every_second(other)), plain.times(x, other)));
    }
  }
  const auto one_row_of_many = x.narrow(0, 7, 1);  // an expanded or offset row is fine too
  EXPECT_TRUE(same_bits(plain(one_row_of_many.expand({5, 24})), plain(one_row_of_many).expand({5, 40})));
}

TEST_P(PackedLinearTest, LaterChangesOfTheWeightDoNotReachThePackedForm) {
  const Layer layer{33, 31};
  auto w = weight(layer);
  const PackedLinear packed(w, {});
  const auto x = random({4, 33}, 71, dtype());
  const auto before = packed(x).clone();
  w.zero_();
  EXPECT_TRUE(same_bits(packed(x), before));
}

}  // namespace
}  // namespace switchyard::kernels

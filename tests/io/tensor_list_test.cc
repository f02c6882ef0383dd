#include "io/tensor_list.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "io/error.h"
#include "io/safetensors.h"
#include "scratch.h"
#include "torch_builder.h"

namespace switchyard::io {
namespace {

using TensorList = Scratch;

TEST_F(TensorList, HasThoseOfASafetensorsFile) {
  write_safetensors(file("x.safetensors"), {{"b", at::ones({2, 3})}, {"a", at::zeros({}, at::kLong)}});
  const auto tensors = all_tensors(file("x.safetensors"));
  ASSERT_EQ(tensors.size(), 2U);
  EXPECT_EQ(tensors[0].first, "a");
  EXPECT_EQ(tensors[1].first, "b");
  EXPECT_TRUE(at::equal(tensors[1].second, at::ones({2, 3})));
}

TEST_F(TensorList, CallsATensorByItsWayThroughAPyTorchFile) {
  using namespace build;
  const auto of = [](int64_t first) { return build::tensor(storage("FloatStorage", "0", 4), first, {1}, {1}); };
  const auto path = put("x.pt", torch_zip(dict({{text("model"), dict({{text("a.b"), of(0)}, {text("a"), dict({{text("b"), of(1)}})}})},
                                                {text("states"), list({of(2), dict({{integer(7), of(3)}})})},
                                                {text("step"), integer(3)}}),
                                          {{"0", floats({10, 11, 12, 13})}}));
  std::vector<std::pair<std::string, float>> found;
  for (const auto& [name, tensor] : all_tensors(path)) found.emplace_back(name, tensor.item<float>());
  const std::vector<std::pair<std::string, float>> expected = {
      {"model.a.b", 10}, {"model.a.b'", 11}, {"states.0", 12}, {"states.1.7", 13}};
  EXPECT_EQ(found, expected);
}

TEST_F(TensorList, RefusesWhatStandsForMoreThanTheFileHolds) {
  using namespace build;
  const auto path = put("x.pt", torch_zip(build::tensor(storage("FloatStorage", "0", 1), 0, {1'000'000'000}, {0}), {{"0", floats({1})}}));
  EXPECT_THROW(all_tensors(path), InputError);
}

struct Numbers {
  const char* name;
  at::Tensor tensor;
  TensorFacts facts;
};

class FactsOf : public ::testing::TestWithParam<Numbers> {};

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();

TEST_P(FactsOf, AreThoseOfTheFiniteNumbers) {
  const auto found = facts_of(GetParam().tensor);
  const auto& expected = GetParam().facts;
  EXPECT_DOUBLE_EQ(found.mean, expected.mean);
  EXPECT_DOUBLE_EQ(found.deviation, expected.deviation);
  EXPECT_EQ(found.nan, expected.nan);
  EXPECT_EQ(found.infinite, expected.infinite);
}

INSTANTIATE_TEST_SUITE_P(
    All, FactsOf,
    ::testing::Values(Numbers{"Nothing", at::empty({0, 3}), {}}, Numbers{"Scalar", at::full({}, -2.5), {-2.5, 0}},
                      Numbers{"Integers", at::arange(5), {2, std::sqrt(2.0)}},
                      Numbers{"Booleans", at::tensor({1, 0, 0, 1}).to(at::kBool), {0.5, 0.5}},
                      Numbers{"Transposed", at::arange(6).view({2, 3}).t().to(at::kBFloat16),
                              {2.5, std::sqrt(35.0 / 12.0)}},
                      Numbers{"NanAndInfinity", at::tensor({1.0, kNan, 3.0, kInf, -kInf}), {2, 1, 1, 2}},
                      Numbers{"NanAlone", at::full({3}, kNan), {0, 0, 3, 0}},
                      Numbers{"LargeBesideItsDeviation", at::tensor({1e9, 1e9 + 1}, at::kDouble), {1e9 + 0.5, 0.5}},
                      Numbers{"MoreThanAPiece", at::arange((1 << 20) + 3) % 2, {524'289.0 / 1'048'579.0, 0.49999999999977263}}),
    [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace switchyard::io

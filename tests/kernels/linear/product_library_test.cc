#include "kernels/linear/product_library.h"

#include "../compare.h"
#include "kernels/experts/experts.h"
#include "kernels/linear/linear.h"

namespace switchyard::kernels {
namespace {

TEST(ProductLibrary, FollowsTheInstructionSet) {
  using enum ProductLibrary;
  constexpr Processor kAvx2{}, kAvx512{.avx512 = true}, kZen4{.avx512 = true, .avx512_bf16 = true};
  static_assert(product_library(at::kFloat, kAvx2) == at_linear);
  static_assert(product_library(at::kFloat, kAvx512) == onednn);
  static_assert(product_library(at::kFloat, kZen4) == onednn);
  static_assert(product_library(at::kBFloat16, kAvx2) == at_linear);
  static_assert(product_library(at::kBFloat16, kAvx512) == at_linear);
  static_assert(product_library(at::kBFloat16, kZen4) == onednn);
  EXPECT_EQ(product_library(at::kBFloat16) == onednn, has_bf16_products());
}

TEST(ProductLibrary, HasNames) {
  for (const auto library : {ProductLibrary::onednn, ProductLibrary::at_linear})
    EXPECT_EQ(product_library_from_name(to_string(library)), library);
  EXPECT_THROW(product_library_from_name("mkl"), std::invalid_argument);
}

TEST(ProductLibrary, EitherFormMultiplies) {
  const auto weight = random({33, 31}, 1), bias = random({33}, 2), x = random({2, 5, 31}, 3);
  const auto expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
  for (const auto library : {ProductLibrary::onednn, ProductLibrary::at_linear}) {
    const PackedLinear layer(weight, bias, {.library = library});
    EXPECT_TRUE(near(layer(x), expected, 1e-5));
    EXPECT_TRUE(near(layer.swish(x), expected * at::sigmoid(expected), 1e-5));
    EXPECT_TRUE(near(layer.times(x, expected.to(at::kFloat)), expected * expected, 1e-5));
  }
}

TEST(ProductLibrary, ReachesEveryProductOfTheExperts) {
  const auto gate_up = random({2, 512, 96}, 4), down = random({2, 96, 256}, 5), x = random({32, 96}, 6);
  for (const auto library : {ProductLibrary::onednn, ProductLibrary::at_linear}) {
    const auto layer = [&](const at::Tensor& weight) {
      return PackedLinear(weight, {}, {.library = library});
    };
    const auto halves = gate_up[1].chunk(2);
    const auto y = layer(down[1])(layer(halves[1]).times(x, layer(halves[0]).swish(x)));
    EXPECT_TRUE(same_bits(PackedSwiGlu(gate_up[1], down[1], {.library = library})(x), y));
    const Routing all_to_one{{}, at::ones({32, 1}, at::kLong), at::ones({32, 1})};
    EXPECT_TRUE(same_bits(PackedExperts(gate_up, down, {.library = library})(x, all_to_one), y));
  }
}

}  // namespace
}  // namespace switchyard::kernels

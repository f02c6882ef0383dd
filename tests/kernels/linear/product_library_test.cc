// What is chosen when, and that the measurement is one.
#include "kernels/linear/product_library.h"

#include "compare.h"
#include "kernels/linear/linear.h"

namespace switchyard::kernels {
namespace {

TEST(ProductLibrary, ChoosesTheOtherOneOnlyWhereItIsClearlyFasterAndItsRowsStandAlone) {
  using enum ProductLibrary;
  const struct {
    LibraryMeasurement measured;
    ProductLibrary expected;
  } cases[] = {
      {{1.0, 2.0, true}, onednn},     // slower
      {{1.0, 1.0, true}, onednn},     // equal
      {{1.0, 0.9, true}, onednn},     // within what chance may do
      {{1.0, 0.5, true}, at_linear},  // clearly faster
      {{1.0, 0.5, false}, onednn},    // but an image would depend on its batch
  };
  for (const auto& [measured, expected] : cases)
    EXPECT_EQ(choose_library(measured), expected) << measured.at_linear_seconds;
}

TEST(ProductLibrary, MeasuresBoth) {
  const auto measured = measure_libraries(at::kFloat);
  for (const double seconds : {measured.onednn_seconds, measured.at_linear_seconds}) {
    EXPECT_GT(seconds, 1e-6);
    EXPECT_LT(seconds, 10);
  }
  EXPECT_EQ(product_library(at::kFloat), product_library(at::kFloat));
}

TEST(ProductLibrary, EitherFormMultiplies) {
  const auto weight = random({33, 31}, 1), bias = random({33}, 2), x = random({2, 5, 31}, 3);
  const auto expected = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
  for (const auto library : {ProductLibrary::onednn, ProductLibrary::at_linear}) {
    const PackedLinear layer(weight, bias, Products::in_dtype, library);
    EXPECT_TRUE(near(layer(x), expected, 1e-5));
    EXPECT_TRUE(near(layer.swish(x), expected * at::sigmoid(expected), 1e-5));
    EXPECT_TRUE(near(layer.times(x, expected.to(at::kFloat)), expected * expected, 1e-5));
  }
}

}  // namespace
}  // namespace switchyard::kernels

#include "train/flat_parameters.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace switchyard::train {
namespace {

dit::DiffusionTransformer tiny() {
  dit::DiffusionTransformer model(dit::preset("tiny"));
  dit::initialize(model, 1);
  return model;
}

TEST(FlatParameters, ModelComputesTheSameFromTheFlatBuffer) {
  const at::NoGradGuard no_grad;
  auto model = tiny();
  for (auto& [name, tensor] : model.parameters())
    tensor->add_(0.01);  // else the zero output layers hide everything
  const auto x = at::randn({2, 3, 16, 16}), t = at::full({2}, 0.3), y = at::tensor({1, 10}, at::kLong);
  const auto before = model.forward(x, t, y);
  const FlatParameters flat(model, false);
  EXPECT_TRUE(at::equal(before, model.forward(x, t, y)));
  flat.flat().zero_();
  EXPECT_FALSE(at::equal(before, model.forward(x, t, y)));  // the model really looks at the buffer
}

TEST(FlatParameters, StateDictStillShowsTheOfficialNames) {
  auto model = tiny();
  const FlatParameters flat(model, false);
  flat.flat().fill_(2.0);
  for (const auto& [name, tensor] : model.state_dict()) {
    if (name == "pos_embed") continue;
    EXPECT_TRUE(tensor.eq(2.0).all().item<bool>()) << name;
  }
}

TEST(FlatParameters, GradientsOfShardsAreSummedInPlace) {
  auto model = tiny();
  const FlatParameters flat(model, true);
  std::vector<at::Tensor> ones, twos;
  int64_t elements = 0;
  for (const auto& view : flat.views()) {
    ones.push_back(at::ones(view.sizes()));
    twos.push_back(at::full(view.sizes(), 2.0));
    elements += view.numel();
  }
  auto sum = at::zeros_like(flat.flat());
  flat.gather_gradients(ones, false, sum);
  flat.gather_gradients(twos, true, sum);
  EXPECT_EQ(sum.sum().item<double>(), 3.0 * static_cast<double>(elements));
}

}  // namespace
}  // namespace switchyard::train

// The adaptive layer norm and its gated residual against the definition, written out in double.
#include "kernels/modulate/modulate.h"

#include <torch/csrc/autograd/autograd.h>

#include <functional>
#include <vector>

#include "../compare.h"

namespace switchyard::kernels {
namespace {

using Inputs = std::vector<at::Tensor>;
using Function = std::function<at::Tensor(const Inputs&)>;

// Loops over plain numbers: nothing of the implementation is used.
at::Tensor modulated_layer_norm_definition(const Inputs& in, double eps = 1e-6) {
  const auto &x = in[0], &shift = in[1], &scale = in[2];
  auto y = at::empty_like(x);
  const int64_t width = x.size(2);
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t t = 0; t < x.size(1); ++t) {
      const double* row = x[n][t].const_data_ptr<double>();
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < width; ++i) mean += row[i] / static_cast<double>(width);
      for (int64_t i = 0; i < width; ++i)
        variance += (row[i] - mean) * (row[i] - mean) / static_cast<double>(width);
      for (int64_t i = 0; i < width; ++i) {
        const double norm = (row[i] - mean) / std::sqrt(variance + eps);
        y[n][t].mutable_data_ptr<double>()[i] =
            norm * (1 + scale[n][i].item<double>()) + shift[n][i].item<double>();
      }
    }
  }
  return y;
}

at::Tensor gated_residual_definition(const Inputs& in) {
  const auto &x = in[0], &gate = in[1], &branch = in[2];
  auto y = at::empty_like(x);
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t t = 0; t < x.size(1); ++t) y[n][t].copy_(x[n][t] + gate[n] * branch[n][t]);
  }
  return y;
}

struct Operation {
  const char* name;
  Function op, definition;
  std::function<Inputs(int64_t n, int64_t t, int64_t width)> inputs;  // double
};

const Operation kOperations[] = {
    {"modulated_layer_norm", [](const Inputs& in) { return modulated_layer_norm(in[0], in[1], in[2]); },
     [](const Inputs& in) { return modulated_layer_norm_definition(in); },
     [](int64_t n, int64_t t, int64_t width) {
       return Inputs{random({n, t, width}, 1, at::kDouble) * 3 + 1, random({n, width}, 2, at::kDouble),
                     random({n, width}, 3, at::kDouble)};
     }},
    {"modulated_layer_norm of another eps",
     [](const Inputs& in) { return modulated_layer_norm(in[0], in[1], in[2], 0.5); },
     [](const Inputs& in) { return modulated_layer_norm_definition(in, 0.5); },
     [](int64_t n, int64_t t, int64_t width) {
       return Inputs{random({n, t, width}, 1, at::kDouble), random({n, width}, 2, at::kDouble),
                     random({n, width}, 3, at::kDouble)};
     }},
    {"gated_residual", [](const Inputs& in) { return gated_residual(in[0], in[1], in[2]); },
     gated_residual_definition,
     [](int64_t n, int64_t t, int64_t width) {
       return Inputs{random({n, t, width}, 4, at::kDouble), random({n, width}, 5, at::kDouble),
                     random({n, t, width}, 6, at::kDouble)};
     }},
};

Inputs converted(const Inputs& inputs, at::TensorOptions options) {
  Inputs result;
  for (const auto& input : inputs) result.push_back(input.to(options));
  return result;
}

class ModulateOnDevice : public OnDevice {};
ON_EVERY_DEVICE(ModulateOnDevice);

TEST_P(ModulateOnDevice, EqualsTheDefinition) {
  for (const auto& operation : kOperations) {
    for (const auto& [dtype, limit] :
         {std::pair{at::kDouble, 1e-13}, {at::kFloat, 1e-6}, {at::kBFloat16, 1e-2}}) {
      for (const auto& [n, t, width] :
           {std::tuple{1, 1, 1}, {1, 1, 4}, {3, 31, 33}, {2, 64, 192}, {2, 0, 8}}) {
        const auto inputs =
            converted(operation.inputs(n, t, width), dtype);  // rounded first: the op's error alone
        const auto y = operation.op(converted(inputs, at::device(device())));
        EXPECT_EQ(y.scalar_type(), dtype) << operation.name;
        EXPECT_TRUE(near(y, operation.definition(converted(inputs, at::kDouble)), limit))
            << operation.name << " " << toString(dtype) << " " << n << " " << t << " " << width;
      }
    }
  }
}

TEST(Modulate, LargeMeansKeepTheVariance) {
  for (const int64_t width : {16, 20, 33, 36}) {
    const auto x = random({1, 5, width}, 9) + 1000, shift = at::zeros({1, width}),
               scale = at::zeros({1, width});
    const auto expected = modulated_layer_norm_definition(converted({x, shift, scale}, at::kDouble));
    EXPECT_TRUE(near(modulated_layer_norm(x, shift, scale), expected, 1e-3)) << width;
  }
}

// d sum(w * y) / d input by central differences of the definition.
TEST(Modulate, GradientEqualsFiniteDifferences) {
  constexpr double kStep = 1e-5;
  for (const auto& operation : kOperations) {
    auto inputs = operation.inputs(2, 3, 5);
    const auto weight = random({2, 3, 5}, 7, at::kDouble);
    const auto loss = [&] { return (operation.definition(inputs) * weight).sum().item<double>(); };
    Inputs leaves;
    for (const auto& input : inputs) leaves.push_back(input.clone().requires_grad_(true));
    const auto gradients = torch::autograd::grad({(operation.op(leaves) * weight).sum()}, leaves);
    for (size_t which = 0; which < inputs.size(); ++which) {
      auto expected = at::empty_like(inputs[which]);
      for (int64_t i = 0; i < expected.numel(); ++i) {
        double& value = inputs[which].mutable_data_ptr<double>()[i];
        const double kept = value;
        value = kept + kStep;
        const double above = loss();
        value = kept - kStep;
        const double below = loss();
        value = kept;
        expected.mutable_data_ptr<double>()[i] = (above - below) / (2 * kStep);
      }
      EXPECT_TRUE(near(gradients[which], expected, 1e-7)) << operation.name << ", input " << which;
    }
  }
}

// The fused forms, which double does not take.
TEST(Modulate, GradientsOfTheFusedFormsEqualThoseInDouble) {
  for (const auto& operation : kOperations) {
    for (const auto& [dtype, limit] : {std::pair{at::kFloat, 3e-6}, {at::kBFloat16, 2e-2}}) {
      for (const auto& [n, t, width] : {std::tuple{1, 1, 4}, {3, 31, 33}, {2, 64, 192}, {1, 2, 1409}}) {
        const auto inputs = converted(operation.inputs(n, t, width), dtype);
        const auto weight = random({n, t, width}, 8, dtype);
        const auto gradients_in = [&](at::ScalarType type) {
          Inputs leaves;
          for (const auto& input : inputs)
            leaves.push_back(input.to(type).detach().clone().requires_grad_(true));
          return torch::autograd::grad({(operation.op(leaves) * weight.to(type)).sum()}, leaves);
        };
        const auto ours = gradients_in(dtype), expected = gradients_in(at::kDouble);
        for (size_t i = 0; i < inputs.size(); ++i) {
          EXPECT_EQ(ours[i].scalar_type(), dtype);
          EXPECT_TRUE(near(ours[i], expected[i], limit))
              << operation.name << ", input " << i << ", " << toString(dtype) << " " << n << " " << t << " "
              << width;
        }
      }
    }
  }
}

TEST_P(ModulateOnDevice, TakesAnyStrides) {
  for (const auto& operation : kOperations) {
    const auto inputs = converted(operation.inputs(2, 5, 12), at::device(device()).dtype(at::kFloat));
    Inputs strided;
    for (const auto& input : inputs) strided.push_back(input.transpose(0, -1).contiguous().transpose(0, -1));
    EXPECT_TRUE(near(operation.op(strided), operation.op(inputs), 1e-6)) << operation.name;
  }
}

}  // namespace
}  // namespace switchyard::kernels

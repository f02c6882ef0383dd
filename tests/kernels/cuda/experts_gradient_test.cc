// The operation's own code for a GPU, forward and backward, with its kernels run by the emulator: from
// tensors on the CPU to the gradients that autograd hands out, beside routed_experts_reference in double.
//
// The operation is compiled for CUDA's launchers, and so is this file; the emulator's are declared below,
// told apart by their type of stream.
#undef SWITCHYARD_EMULATED

#include <torch/csrc/autograd/autograd.h>

#include <vector>

#include "cases.h"
#include "kernels/cuda/backend.h"
#include "kernels/experts/experts.h"
#include "kernels/experts/experts_forms.h"

namespace switchyard::kernels::cuda {

struct EmulatedStream;
void count_experts(const std::int32_t* chosen, std::int64_t rows, int experts, std::int32_t* counts,
                   EmulatedStream* stream);
void order_by_expert(const Permutation& arguments, EmulatedStream* stream);
void grouped_swiglu(const GroupedMatmul& arguments, EmulatedStream* stream);
void grouped_linear(const GroupedMatmul& arguments, EmulatedStream* stream);
void grouped_linear_backward(const GroupedMatmul& arguments, EmulatedStream* stream);
void grouped_swiglu_backward(const GroupedMatmul& arguments, EmulatedStream* stream);
void grouped_gradient(const GroupedGradient& arguments, EmulatedStream* stream);
void combine(const Combine& arguments, EmulatedStream* stream);
void combine_backward(const CombineBackward& arguments, EmulatedStream* stream);

namespace {

template <class Arguments, void (*kLauncher)(const Arguments&, EmulatedStream*)>
void emulated(const Arguments& arguments, Stream) {
  kLauncher(arguments, nullptr);
}

const Backend& emulated_backend() {  // of what the routed experts call
  static const Backend kBackend = [] {
    Backend b{};
    b.count_experts = [](const std::int32_t* chosen, std::int64_t rows, int experts, std::int32_t* counts,
                         Stream) {
      count_experts(chosen, rows, experts, counts, static_cast<EmulatedStream*>(nullptr));
    };
    b.order_by_expert = emulated<Permutation, order_by_expert>;
    b.grouped_swiglu = emulated<GroupedMatmul, grouped_swiglu>;
    b.grouped_linear = emulated<GroupedMatmul, grouped_linear>;
    b.grouped_linear_backward = emulated<GroupedMatmul, grouped_linear_backward>;
    b.grouped_swiglu_backward = emulated<GroupedMatmul, grouped_swiglu_backward>;
    b.grouped_gradient = emulated<GroupedGradient, grouped_gradient>;
    b.combine = emulated<Combine, combine>;
    b.combine_backward = emulated<CombineBackward, combine_backward>;
    return b;
  }();
  return kBackend;
}

struct Case {
  std::int64_t tokens;
  int experts, k, width, hidden;
  bool skewed = false;  // only k + 1 experts are chosen
};

constexpr Case kCases[] = {{1, 1, 1, 8, 16},           {1, 8, 2, 16, 24},        {31, 3, 2, 32, 40},
                           {33, 8, 4, 40, 16},         {127, 16, 2, 24, 32},     {129, 31, 4, 40, 24},
                           {129, 8, 1, 136, 72, true}, {512, 8, 2, 16, 24, true}};

struct Inputs {
  at::Tensor x, weights, gate_up, down;
  at::Tensor experts;  // [T, k] int64

  std::vector<at::Tensor> leaves() const { return {x, weights, gate_up, down}; }
  Routing routing() const { return {{}, experts, weights}; }
  Inputs as_leaves(at::ScalarType type, at::ScalarType weights_type) const {
    const auto leaf = [](const at::Tensor& tensor, at::ScalarType to) {
      return tensor.to(to, /*non_blocking=*/false, /*copy=*/true).requires_grad_(true);
    };
    return {leaf(x, type), leaf(weights, weights_type), leaf(gate_up, type), leaf(down, type), experts};
  }
};

Inputs inputs_of(const Case& c) {
  auto logits = random({c.tokens, c.experts}, 151);
  if (c.skewed) logits += at::arange(c.experts).lt(c.k + 1) * 20;
  return {random({c.tokens, c.width}, 152, at::kBFloat16), random({c.tokens, c.k}, 153),
          (random({c.experts, 2 * c.hidden, c.width}, 154) / std::sqrt(c.width)).to(at::kBFloat16),
          (random({c.experts, c.width, c.hidden}, 155) / std::sqrt(c.hidden)).to(at::kBFloat16),
          route_top_k(logits, c.k).experts};
}

std::string text(const Case& c) {
  return std::to_string(c.tokens) + " tokens, " + std::to_string(c.experts) + " experts, k " +
         std::to_string(c.k) + ", width " + std::to_string(c.width) + ", hidden " + std::to_string(c.hidden);
}

// y and the gradients of x, the gate weights, gate_up and down, for the gradient dy of y.
std::vector<at::Tensor> run(const Inputs& in, const at::Tensor& dy) {
  const auto y = routed_experts_cuda(emulated_backend(), in.x, in.routing(), in.gate_up, in.down);
  auto all = torch::autograd::grad({y}, in.leaves(), {dy});
  all.insert(all.begin(), y.detach());
  return all;
}

constexpr const char* kNames[] = {"y", "d x", "d weights", "d gate_up", "d down"};

TEST(CudaExpertsGradient, EqualsThatOfTheReference) {
  for (const auto& c : kCases) {
    const auto in = inputs_of(c);
    const auto dy = random({c.tokens, c.width}, 156, at::kBFloat16);
    const auto plain = in.as_leaves(at::kDouble, at::kDouble);
    const auto y = routed_experts_reference(plain.x, plain.routing(), plain.gate_up, plain.down);
    auto expected = torch::autograd::grad({y}, plain.leaves(), {dy.to(at::kDouble)});
    expected.insert(expected.begin(), y.detach());
    under_each_schedule(text(c), [&] {
      const auto ours = in.as_leaves(at::kBFloat16, at::kFloat);
      const auto actual = run(ours, dy);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        EXPECT_EQ(actual[i].scalar_type(), i == 2 ? at::kFloat : at::kBFloat16) << kNames[i];
        EXPECT_TRUE(near(actual[i], expected[i], 1.2e-2)) << kNames[i];
      }
    });
  }
}

TEST(CudaExpertsGradient, RepeatsBitForBitWhateverRunsFirst) {
  const auto in = inputs_of(kCases[3]).as_leaves(at::kBFloat16, at::kFloat);
  const auto dy = random({kCases[3].tokens, kCases[3].width}, 157, at::kBFloat16);
  const auto once = run(in, dy);
  under_each_schedule("again", [&] {
    const auto again = run(in, dy);
    for (std::size_t i = 0; i < once.size(); ++i) EXPECT_TRUE(same_bits(again[i], once[i])) << kNames[i];
  });
}

TEST(CudaExpertsGradient, TakesRowsFarApartAndAGradientOfStrideZero) {
  const Case c{33, 3, 2, 40, 16};
  auto in = inputs_of(c);
  const auto wide = at::full({c.tokens, c.width + 8}, NAN, at::kBFloat16);
  wide.narrow(1, 0, c.width).copy_(in.x);
  auto spread = in.as_leaves(at::kBFloat16, at::kFloat);
  spread.x = wide.narrow(1, 0, c.width).requires_grad_(true);
  const auto ones = at::ones({1, 1}, at::kBFloat16).expand({c.tokens, c.width});
  const auto expected = run(in.as_leaves(at::kBFloat16, at::kFloat), ones.contiguous());
  const auto actual = run(spread, ones);
  for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_TRUE(same_bits(actual[i], expected[i])) << kNames[i];
}

TEST(CudaExpertsGradient, WithoutGradientNothingIsKeptAndTheResultIsTheSame) {
  const auto in = inputs_of(kCases[3]);
  const auto y = routed_experts_cuda(emulated_backend(), in.x, in.routing(), in.gate_up, in.down);
  EXPECT_FALSE(y.requires_grad());
  const auto ours = in.as_leaves(at::kBFloat16, at::kFloat);
  const auto with = routed_experts_cuda(emulated_backend(), ours.x, ours.routing(), ours.gate_up, ours.down);
  EXPECT_TRUE(same_bits(with.detach(), y));
}

TEST(CudaExpertsGradient, OfNoTokensIsZero) {
  const auto in = inputs_of({0, 4, 2, 8, 16}).as_leaves(at::kBFloat16, at::kFloat);
  const auto all = run(in, at::empty({0, 8}, at::kBFloat16));
  EXPECT_EQ(all[0].sizes(), in.x.sizes());
  EXPECT_TRUE(same_bits(all[3], at::zeros_like(in.gate_up)));
  EXPECT_TRUE(same_bits(all[4], at::zeros_like(in.down)));
}

TEST(CudaExpertsGradient, RefusesASecondDerivative) {
  const auto in = inputs_of(kCases[0]).as_leaves(at::kBFloat16, at::kFloat);
  const auto y = routed_experts_cuda(emulated_backend(), in.x, in.routing(), in.gate_up, in.down);
  EXPECT_THROW(
      torch::autograd::grad({y.sum()}, in.leaves(), {}, /*retain_graph=*/true, /*create_graph=*/true),
      c10::Error);
}

}  // namespace
}  // namespace switchyard::kernels::cuda

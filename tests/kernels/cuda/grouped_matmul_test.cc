// The grouped products beside one product per expert.
#include "kernels/experts/grouped_matmul_kernel.h"

#include "grouped_cases.h"

namespace switchyard::kernels::cuda {
namespace {

struct Form {
  void (*launch)(const GroupedMatmul&, Stream);
  bool swiglu, backward;
  bool keeps = false;  // gate_up is written
};

// The weights of all experts, as rows of a matrix.
at::Tensor weights_for(const Form& form, const GroupedCase& c) {
  const int rows = form.backward ? c.in : form.swiglu ? 2 * c.out : c.out;
  return (random({c.experts() * rows, form.backward ? c.out : c.in}, 122) / std::sqrt(c.in))
      .to(at::kBFloat16);
}

// In double, of an expert's rows x [n, in]: the result, for a backward that of dy = x; gate_up [n, 2 out].
at::Tensor expected_for(const Form& form, const at::Tensor& x, const at::Tensor& weight,
                        const at::Tensor& gate_up) {
  const auto product = at::mm(x, form.backward ? weight : weight.t());
  if (!form.swiglu) return product;
  const auto parts = (form.backward ? gate_up : product).chunk(2, 1);
  const auto g = parts[0], u = parts[1];
  if (!form.backward) return at::silu(g) * u;
  const auto s = at::sigmoid(g);
  return at::cat({product * u * (s + g * s * (1 - s)), product * g * s}, 1);
}

void compare(const Form& form) {
  for (const auto& c : grouped_cases()) {
    const auto rows = c.all_rows();
    const std::int64_t tokens = form.backward ? rows : (rows + 1) / 2;  // gathered: each is used about twice
    const auto x = random({tokens, c.in}, 121, at::kBFloat16);
    const auto weight = weights_for(form, c), gate_up = random({rows, 2 * c.out}, 123, at::kBFloat16);
    const auto token_of = at::arange(rows).mul(form.backward ? 1 : 5).remainder(tokens).to(at::kInt);
    const std::int64_t width = form.swiglu && form.backward ? 2 * c.out : c.out;
    const auto expected = at::empty({rows, width}, at::kDouble),
               kept = at::empty({rows, 2 * c.out}, at::kDouble);
    for_each_group(c, [&](int e, std::int64_t first, std::int64_t count) {
      const auto own = x.index_select(0, token_of.narrow(0, first, count)).to(at::kDouble);
      const auto own_weight = weight.view({c.experts(), -1, weight.size(1)})[e].to(at::kDouble);
      expected.narrow(0, first, count)
          .copy_(expected_for(form, own, own_weight, gate_up.narrow(0, first, count).to(at::kDouble)));
      if (form.keeps) kept.narrow(0, first, count).copy_(at::mm(own, own_weight.t()));
    });
    under_each_schedule(text(c), [&] {
      const auto unwritten = at::full_like(gate_up, NAN);
      Rows in(x, 8), weights(weight, 0), tokens_of(token_of.view({1, -1}), 0), begins(c.begin(), 0),
          out(rows, width, at::kBFloat16, 16), gates(form.backward ? gate_up : unwritten, 8);
      GroupedMatmul arguments{rows,
                              c.experts(),
                              c.in,
                              c.out,
                              in.data(),
                              in.stride(),
                              weights.data(),
                              static_cast<std::int32_t*>(begins.data()),
                              form.backward ? nullptr : static_cast<std::int32_t*>(tokens_of.data()),
                              out.data(),
                              out.stride()};
      if (form.keeps || (form.swiglu && form.backward)) {
        arguments.gate_up = gates.data();
        arguments.gate_up_stride = gates.stride();
      }
      form.launch(arguments, {});
      EXPECT_TRUE(near(out.values(), expected, 4e-3));  // the rounding of the result to bf16
      EXPECT_TRUE(out.intact());
      if (form.keeps) {
        EXPECT_TRUE(near(gates.values(), kept, 4e-3));
      }
      EXPECT_TRUE(gates.intact());
    });
  }
}

TEST(CudaGroupedMatmul, SwigluEqualsTheDefinition) { compare({grouped_swiglu, true, false}); }

TEST(CudaGroupedMatmul, SwigluKeepsWhatItsBackwardNeeds) { compare({grouped_swiglu, true, false, true}); }

TEST(CudaGroupedMatmul, LinearEqualsTheDefinition) { compare({grouped_linear, false, false}); }

TEST(CudaGroupedMatmul, SwigluBackwardEqualsTheDefinition) { compare({grouped_swiglu_backward, true, true}); }

TEST(CudaGroupedMatmul, LinearBackwardEqualsTheDefinition) {
  compare({grouped_linear_backward, false, true});
}

TEST(CudaGroupedMatmul, RejectsSizesThatItCannotCopy) {
  GroupedMatmul a{};
  a.rows = 4;
  a.experts = 1;
  for (const auto& [in, out, stride] : {std::tuple{12, 8, 16}, {8, 12, 16}, {8, 8, 12}, {0, 8, 8}}) {
    a.in = in;
    a.out = out;
    a.x_stride = a.y_stride = stride;
    EXPECT_THROW(grouped_swiglu(a, {}), std::invalid_argument);
    EXPECT_THROW(grouped_linear_backward(a, {}), std::invalid_argument);
  }
}

TEST(CudaGroupedMatmul, TheBackwardOfSwigluNeedsItsInputs) {
  GroupedMatmul a{};
  a.rows = a.experts = 1;
  a.in = a.out = 8;
  EXPECT_THROW(grouped_swiglu_backward(a, {}), std::invalid_argument);
}

}  // namespace
}  // namespace switchyard::kernels::cuda

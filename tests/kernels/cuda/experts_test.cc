// The whole chain of a layer's experts, from the router to the combined tokens, beside
// routed_experts_reference.
#include "kernels/experts/experts.h"

#include "cases.h"
#include "kernels/experts/combine_kernel.h"
#include "kernels/experts/grouped_matmul_kernel.h"
#include "kernels/routing/permute_kernel.h"
#include "kernels/routing/router_kernel.h"

namespace switchyard::kernels::cuda {
namespace {

struct Case {
  std::int64_t tokens;
  int experts, k, width, hidden;
};

constexpr Case kCases[] = {{1, 8, 2, 16, 24}, {31, 8, 2, 32, 48}, {127, 31, 8, 40, 16}, {129, 3, 1, 64, 72}};

// One after the other in one stream, nothing read back in between.
at::Tensor run(const Case& c, const at::Tensor& x, const at::Tensor& gate, const at::Tensor& gate_up,
               const at::Tensor& down) {
  const std::int64_t rows = c.tokens * c.k;
  const auto ints = [](std::int64_t n) { return at::full({1, n}, -1, at::kInt); };
  Rows in(x, 8), router(gate, 3), first(gate_up.flatten(0, 1), 0), second(down.flatten(0, 1), 0);
  Rows chosen(ints(rows), 0), counts(ints(c.experts), 0), begin(ints(c.experts + 1), 0),
      position(ints(rows), 0), token_of(ints(rows), 0), weights(c.tokens, c.k, at::kFloat, 0);
  Rows h(rows, c.hidden, at::kBFloat16, 8), sorted(rows, c.width, at::kBFloat16, 8),
      y(c.tokens, c.width, at::kBFloat16, 3);
  const auto p = [](Rows& r) { return static_cast<std::int32_t*>(r.data()); };
  auto* const w = static_cast<float*>(weights.data());
  route({DType::bf16, c.tokens, c.width, c.experts, c.k, in.data(), in.stride(), router.data(),
         router.stride(), c.tokens, {}, {}, nullptr, p(chosen), w, p(counts)},
        {});
  order_by_expert({rows, c.experts, c.k, p(chosen), p(counts), p(begin), p(position), p(token_of)}, {});
  grouped_swiglu({rows, c.experts, c.width, c.hidden, in.data(), in.stride(), first.data(), p(begin),
                  p(token_of), h.data(), h.stride()},
                 {});
  grouped_linear({rows, c.experts, c.hidden, c.width, h.data(), h.stride(), second.data(), p(begin), nullptr,
                  sorted.data(), sorted.stride()},
                 {});
  combine({DType::bf16, c.tokens, c.width, c.k, sorted.data(), sorted.stride(), p(position), w, y.data(),
           y.stride()},
          {});
  return y.values();
}

TEST(CudaExperts, TheChainEqualsTheReference) {
  for (const auto& c : kCases) {
    const auto x = random({c.tokens, c.width}, 131, at::kBFloat16);
    const auto gate = random({c.experts, c.width}, 132, at::kBFloat16);
    const auto gate_up =
        (random({c.experts, 2 * c.hidden, c.width}, 133) / std::sqrt(c.width)).to(at::kBFloat16);
    const auto down = (random({c.experts, c.width, c.hidden}, 134) / std::sqrt(c.hidden)).to(at::kBFloat16);
    const auto routing = route_top_k(at::mm(x.to(at::kFloat), gate.to(at::kFloat).t()), c.k);
    const auto expected =
        routed_experts_reference(x.to(at::kDouble), routing, gate_up.to(at::kDouble), down.to(at::kDouble));
    under_each_schedule(std::to_string(c.tokens) + " tokens, " + std::to_string(c.experts) + " experts",
                        [&] { EXPECT_TRUE(near(run(c, x, gate, gate_up, down), expected, 2e-2)); });
  }
}

// A token's result is the same, bit for bit, whatever comes with it.
TEST(CudaExperts, ATokenDoesNotDependOnTheOthers) {
  const Case c{129, 8, 2, 40, 24};
  const auto x = random({c.tokens, c.width}, 135, at::kBFloat16),
             gate = random({c.experts, c.width}, 136, at::kBFloat16),
             gate_up = random({c.experts, 2 * c.hidden, c.width}, 137, at::kBFloat16) / 6,
             down = random({c.experts, c.width, c.hidden}, 138, at::kBFloat16) / 5;
  const auto all = run(c, x, gate, gate_up, down);
  for (const std::int64_t tokens : {1, 31, 64}) {
    Case part = c;
    part.tokens = tokens;
    EXPECT_TRUE(same_bits(run(part, x.narrow(0, 0, tokens), gate, gate_up, down), all.narrow(0, 0, tokens)));
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

// The gradients of the experts' weights beside one product per expert.
#include "kernels/experts/grouped_gradient_kernel.h"

#include "grouped_cases.h"

namespace switchyard::kernels::cuda {
namespace {

TEST(CudaGroupedGradient, EqualsTheDefinition) {
  for (const auto& c : grouped_cases()) {
    for (const bool gathers : {true, false}) {
      if (!gathers && c.experts() > 3) continue;  // which differs in the address of a row alone
      const auto rows = c.all_rows(), tokens = gathers ? (rows + 1) / 2 : rows;
      const auto x = random({tokens, c.in}, 141, at::kBFloat16),
                 dy = random({rows, c.out}, 142, at::kBFloat16);
      const auto token_of = at::arange(rows).mul(gathers ? 5 : 1).remainder(tokens).to(at::kInt);
      const auto expected = at::zeros({c.experts(), c.out, c.in}, at::kDouble);
      for_each_group(c, [&](int e, std::int64_t first, std::int64_t count) {
        const auto own = x.index_select(0, token_of.narrow(0, first, count)).to(at::kDouble);
        expected[e] = at::mm(dy.narrow(0, first, count).to(at::kDouble).t(), own);
      });
      under_each_schedule(text(c), [&] {
        Rows in(x, 8), d(dy, 16), begins(c.begin(), 0), tokens_of(token_of.view({1, -1}), 0),
            out(c.experts() * c.out, c.in, at::kBFloat16,
                0);  // all NaN: experts without rows are written too
        grouped_gradient({c.experts(), c.in, c.out, d.data(), d.stride(), in.data(), in.stride(),
                          static_cast<std::int32_t*>(begins.data()),
                          gathers ? static_cast<std::int32_t*>(tokens_of.data()) : nullptr, out.data()},
                         {});
        EXPECT_TRUE(near(out.values().view({c.experts(), c.out, c.in}), expected, 4e-3));
      });
    }
  }
}

TEST(CudaGroupedGradient, OfNoRowsIsZero) {
  under_each_schedule("no rows", [] {
    Rows begins(at::zeros({1, 4}, at::kInt), 0), nothing(at::zeros({1, 8}, at::kBFloat16), 0),
        out(3 * 16, 8, at::kBFloat16, 0);
    grouped_gradient({3, 8, 16, nothing.data(), 16, nothing.data(), 8,
                      static_cast<std::int32_t*>(begins.data()), nullptr, out.data()},
                     {});
    EXPECT_TRUE(same_bits(out.values(), at::zeros({3 * 16, 8}, at::kBFloat16)));
  });
}

TEST(CudaGroupedGradient, RejectsSizesThatItCannotCopy) {
  GroupedGradient a{};
  a.experts = 1;
  for (const auto& [in, out, stride] : {std::tuple{12, 8, 16}, {8, 12, 16}, {8, 8, 12}}) {
    a.in = in;
    a.out = out;
    a.x_stride = a.dy_stride = stride;
    EXPECT_THROW(grouped_gradient(a, {}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

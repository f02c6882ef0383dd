// The grouped products beside one product per expert.
#include "kernels/cuda/grouped_matmul.h"

#include <numeric>

#include "cases.h"

namespace switchyard::kernels::cuda {
namespace {

struct Case {
  std::vector<std::int64_t> rows;  // of each expert
  int in, out;
};

// kTokenCounts rows in all, spread over kExpertCounts experts, the first of every three with none.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto tokens : kTokenCounts) {
    for (const int experts : kExpertCounts) {
      Case c{std::vector<std::int64_t>(static_cast<size_t>(experts)), 40, 24};
      for (std::int64_t row = 0; row < tokens; ++row) {
        auto e = static_cast<size_t>(row * 7 % experts);
        if (experts > 1 && e % 3 == 0) e = (e + 1) % static_cast<size_t>(experts);
        ++c.rows[e];
      }
      all.push_back(c);
    }
  }
  all.push_back({{1, 0, 31, 33, 127, 129, 0}, 96, 72});  // several tiles in every direction
  all.push_back({{3, 0, 130}, 136, 264});
  all.push_back({{2}, 8, 8});
  return all;
}

std::string text(const Case& c) {
  return std::to_string(c.rows.size()) + " experts, " +
         std::to_string(std::accumulate(c.rows.begin(), c.rows.end(), std::int64_t{0})) + " rows, " +
         std::to_string(c.in) + " to " + std::to_string(c.out);
}

void compare(bool swiglu) {
  for (const auto& c : cases()) {
    const auto experts = static_cast<int>(c.rows.size());
    if (!swiglu && experts > 8) continue;  // the two differ in their last lines alone
    const auto rows = std::accumulate(c.rows.begin(), c.rows.end(), std::int64_t{0});
    const std::int64_t tokens = (rows + 1) / 2;  // gathered: every token is used about twice
    const auto x = random({tokens, c.in}, 121, at::kBFloat16);
    const auto weight =
        (random({experts * (swiglu ? 2 : 1) * c.out, c.in}, 122) / std::sqrt(c.in)).to(at::kBFloat16);
    const auto token_of = at::arange(rows).mul(5).remainder(tokens).to(at::kInt);
    auto begin = at::zeros({1, experts + 1}, at::kInt);
    const auto expected = at::empty({rows, c.out}, at::kDouble);
    std::int64_t first = 0;
    for (int e = 0; e < experts; ++e) {
      const auto count = c.rows[static_cast<size_t>(e)];
      const auto own = x.to(at::kDouble).index_select(0, token_of.narrow(0, first, count));
      const auto product = at::mm(own, weight.view({experts, -1, c.in})[e].to(at::kDouble).t());
      expected.narrow(0, first, count)
          .copy_(swiglu ? at::silu(product.narrow(1, 0, c.out)) * product.narrow(1, c.out, c.out) : product);
      first += count;
      begin[0][e + 1] = static_cast<std::int32_t>(first);
    }
    under_each_schedule(text(c), [&] {
      Rows in(x, 8), weights(weight, 0), tokens_of(token_of.view({1, -1}), 0), begins(begin, 0),
          out(rows, c.out, at::kBFloat16, 16);
      const GroupedMatmul arguments{rows,
                                    experts,
                                    c.in,
                                    c.out,
                                    in.data(),
                                    in.stride(),
                                    weights.data(),
                                    static_cast<std::int32_t*>(begins.data()),
                                    static_cast<std::int32_t*>(tokens_of.data()),
                                    out.data(),
                                    out.stride()};
      (swiglu ? grouped_swiglu : grouped_linear)(arguments, {});
      EXPECT_TRUE(near(out.values(), expected, 4e-3));  // the rounding of the result to bf16
      EXPECT_TRUE(out.intact());
    });
  }
}

TEST(CudaGroupedMatmul, SwigluEqualsTheDefinition) { compare(/*swiglu=*/true); }

TEST(CudaGroupedMatmul, LinearEqualsTheDefinition) { compare(/*swiglu=*/false); }

TEST(CudaGroupedMatmul, RejectsSizesThatItCannotCopy) {
  GroupedMatmul a{};
  a.rows = 4;
  a.experts = 1;
  for (const auto& [in, out, stride] : {std::tuple{12, 8, 16}, {8, 12, 16}, {8, 8, 12}, {0, 8, 8}}) {
    a.in = in;
    a.out = out;
    a.x_stride = a.y_stride = stride;
    EXPECT_THROW(grouped_swiglu(a, {}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

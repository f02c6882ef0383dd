// The weighted sum of each token's rows beside its definition.
#include "kernels/cuda/combine.h"

#include "cases.h"

namespace switchyard::kernels::cuda {
namespace {

TEST(CudaCombine, EqualsTheDefinition) {
  for (const auto tokens : kTokenCounts) {
    for (const auto& [width, k] : {std::pair{33, 1}, {40, 2}, {31, 8}}) {
      for (const auto& [type, limit] : kDtypes) {
        const auto rows = random({tokens * k, width}, 101, type);
        const auto position = at::argsort(random({tokens * k}, 102)).to(at::kInt);
        const auto weights = random({tokens, k}, 103);
        const auto expected = (rows.to(at::kDouble).index_select(0, position).view({tokens, k, width}) *
                               weights.to(at::kDouble).unsqueeze(2))
                                  .sum(1);
        under_each_schedule(std::to_string(tokens) + " tokens, k " + std::to_string(k), [&, k = k,
                                                                                         width = width,
                                                                                         type = type,
                                                                                         limit = limit] {
          Rows in(rows, 3), places(position.view({1, -1}), 0), by(weights, 0), out(tokens, width, type, 1);
          combine({dtype_of(type), tokens, width, k, in.data(), in.stride(),
                   static_cast<std::int32_t*>(places.data()), static_cast<float*>(by.data()), out.data(),
                   out.stride()},
                  {});
          EXPECT_TRUE(near(out.values(), expected, limit));
          EXPECT_TRUE(out.intact());
        });
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

// The weighted sum of each token's rows, and the way back, beside their definitions.
#include "kernels/experts/combine_kernel.h"

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

TEST(CudaCombine, WithoutWeightsAllAreOne) {
  for (const auto tokens : kTokenCounts) {
    const auto rows = random({tokens * 2, 33}, 104);
    const auto position = at::argsort(random({tokens * 2}, 105)).to(at::kInt);
    const auto expected = rows.to(at::kDouble).index_select(0, position).view({tokens, 2, 33}).sum(1);
    under_each_schedule(std::to_string(tokens) + " tokens", [&] {
      Rows in(rows, 3), places(position.view({1, -1}), 0), out(tokens, 33, at::kFloat, 1);
      combine({DType::f32, tokens, 33, 2, in.data(), in.stride(), static_cast<std::int32_t*>(places.data()),
               nullptr, out.data(), out.stride()},
              {});
      EXPECT_TRUE(near(out.values(), expected, 1e-6));
    });
  }
}

TEST(CudaCombine, LeavesOutEmptySlots) {
  for (const auto tokens : kTokenCounts) {
    const std::int64_t k = 3, width = 33;
    const auto rows = random({tokens * k, width}, 110), weights = random({tokens, k}, 111),
               dy = random({tokens, width}, 112);
    const auto empty = random({tokens, k}, 113).lt(0);
    const auto all = at::argsort(random({tokens * k}, 114)).to(at::kInt).view({tokens, k});
    const auto position = all.masked_fill(empty, -1);
    const auto kept = weights.masked_fill(empty, 0.0).to(at::kDouble);
    const auto by_slot = rows.to(at::kDouble).index_select(0, all.flatten()).view({tokens, k, width});
    const auto expected = (by_slot * kept.unsqueeze(2)).sum(1);
    const auto d_weights = (by_slot * dy.to(at::kDouble).unsqueeze(1)).sum(2).masked_fill(empty, 0.0);
    under_each_schedule(std::to_string(tokens) + " tokens", [&] {
      Rows in(rows, 3), places(position.reshape({1, -1}), 0), by(weights, 0), out(tokens, width, at::kFloat, 1),
          d(dy, 1), d_rows(at::zeros({tokens * k, width}), 2), d_by(tokens, k, at::kFloat, 0);
      const auto* at_rows = static_cast<std::int32_t*>(places.data());
      auto* w = static_cast<float*>(by.data());
      combine({DType::f32, tokens, static_cast<int>(width), static_cast<int>(k), in.data(), in.stride(), at_rows, w,
               out.data(), out.stride()},
              {});
      EXPECT_TRUE(near(out.values(), expected, 1e-5));
      combine_backward({DType::f32, tokens, static_cast<int>(width), static_cast<int>(k), in.data(), in.stride(),
                        at_rows, w, d.data(), d.stride(), d_rows.data(), d_rows.stride(),
                        static_cast<float*>(d_by.data())},
                       {});
      EXPECT_TRUE(near(d_by.values(), d_weights, 1e-5));
      const auto d_by_slot = d_rows.values().index_select(0, all.flatten()).view({tokens, k, width});
      EXPECT_TRUE(near(d_by_slot, kept.unsqueeze(2) * dy.to(at::kDouble).unsqueeze(1), 1e-5));
    });
  }
}

TEST(CudaCombine, BackwardEqualsTheDefinition) {
  for (const auto tokens : kTokenCounts) {
    for (const auto& [width, k] : {std::pair{33, 1}, {40, 2}, {129, 4}, {31, 8}}) {
      for (const auto& [type, limit] : kDtypes) {
        const auto rows = random({tokens * k, width}, 106, type), dy = random({tokens, width}, 107, type);
        const auto position = at::argsort(random({tokens * k}, 108)).to(at::kInt);
        const auto weights = random({tokens, k}, 109);
        const auto dy_by_slot = dy.to(at::kDouble).unsqueeze(1);  // [T, 1, D]
        const auto rows_by_slot = rows.to(at::kDouble).index_select(0, position).view({tokens, k, width});
        const auto d_weights = (dy_by_slot * rows_by_slot).sum(2);
        const auto d_rows = at::zeros({tokens * k, width}, at::kDouble);
        d_rows.index_copy_(0, position.to(at::kLong),
                           (weights.to(at::kDouble).unsqueeze(2) * dy_by_slot).flatten(0, 1));
        under_each_schedule(std::to_string(tokens) + " tokens, k " + std::to_string(k),
                            [&, k = k, width = width, type = type, limit = limit] {
                              Rows in(rows, 3), places(position.view({1, -1}), 0), by(weights, 0), d(dy, 1),
                                  out(tokens * k, width, type, 2), d_by(tokens, k, at::kFloat, 0);
                              combine_backward({dtype_of(type), tokens, width, k, in.data(), in.stride(),
                                                static_cast<std::int32_t*>(places.data()),
                                                static_cast<float*>(by.data()), d.data(), d.stride(),
                                                out.data(), out.stride(), static_cast<float*>(d_by.data())},
                                               {});
                              EXPECT_TRUE(near(out.values(), d_rows, limit));
                              EXPECT_TRUE(out.intact());
                              EXPECT_TRUE(near(d_by.values(), d_weights, 1e-5));
                            });
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

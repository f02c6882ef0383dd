// The element-wise kernels around the transformer, beside their equations in double.
#include "kernels/cuda/sampling.h"

#include <cmath>

#include "cases.h"

namespace switchyard::kernels::cuda {
namespace {

TEST(CudaSampling, TimestepEmbedding) {
  for (const auto count : {std::int64_t{1}, std::int64_t{33}}) {
    for (const int half : {1, 31, 128}) {
      const auto t = at::rand({count}, at::detail::createCPUGenerator(111)) * 1000;
      const auto angle =
          at::outer(t.to(at::kDouble), at::exp(at::arange(half, at::kDouble) * (-std::log(1e4) / half)));
      const auto expected = at::cat({at::cos(angle), at::sin(angle)}, 1);
      under_each_schedule(std::to_string(count) + " times, half " + std::to_string(half), [&] {
        Rows times(t.view({1, -1}), 0), out(count, 2 * half, at::kFloat, 3);
        timestep_embedding(
            {count, half, static_cast<float*>(times.data()), static_cast<float*>(out.data()), out.stride()},
            {});
        // An angle of up to 1000 has an fp32 rounding error of 3e-5, and so have its frequencies.
        EXPECT_TRUE(near(out.values(), expected, 2e-4));
        EXPECT_TRUE(out.intact());
      });
    }
  }
}

TEST(CudaSampling, GuidedEuler) {
  for (const auto count : kTokenCounts) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      for (const bool guided : {false, true}) {
        const auto z = random({1, count}, 112), c = random({1, count}, 113, type),
                   u = random({1, count}, 114, type);
        const auto cd = c.to(at::kDouble), ud = u.to(at::kDouble);
        const auto v = guided ? ud + 1.5 * (cd - ud) : cd;
        under_each_schedule(std::to_string(count) + " values", [&] {
          Rows state(z, 0), conditional(c, 0), unconditional(u, 0);
          auto* in_place = static_cast<float*>(state.data());
          guided_euler({dtype_of(type), count, conditional.data(), guided ? unconditional.data() : nullptr,
                        1.5F, -0.04F, in_place, in_place},
                       {});
          EXPECT_TRUE(near(state.values(), z.to(at::kDouble) - static_cast<double>(0.04F) * v, 1e-6));
        });
      }
    }
  }
}

TEST(CudaSampling, FoldedMask) {
  for (const auto& [images, tokens, width] : {std::tuple{1, 1, 1}, {3, 11, 33}, {2, 64, 129}}) {
    for (const auto& [type, limit] : kDtypes) {
      const std::int64_t rows = images * tokens;
      const auto x = random({rows, width}, 115, type), product = random({rows, width}, 116, type),
                 bias = random({images, width}, 117, type);
      const auto xd = x.to(at::kDouble);
      const auto m = product.to(at::kDouble) + bias.to(at::kDouble).repeat_interleave(tokens, 0);
      under_each_schedule(std::to_string(rows) + " rows", [&, tokens = tokens, width = width, type = type,
                                                           limit = limit] {
        Rows in(x, 1), by(product, 2), add(bias, 3), task(rows, width, type, 4), shared(rows, width, type, 5);
        folded_mask({dtype_of(type), rows, tokens, width, in.data(), by.data(), add.data(), in.stride(),
                     by.stride(), add.stride(), task.data(), shared.data(), task.stride(), shared.stride()},
                    {});
        EXPECT_TRUE(near(task.values(), xd * m, limit));
        EXPECT_TRUE(near(shared.values(), xd * (1 - m), limit));
        EXPECT_TRUE(task.intact() && shared.intact());
      });
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

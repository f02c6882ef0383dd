// The element-wise kernels around the transformer, beside their equations in double.
#include "kernels/timestep_embedding/sampling_kernel.h"

#include <cmath>

#include "cases.h"

namespace switchyard::kernels::cuda {
namespace {

TEST(CudaSampling, TimestepEmbedding) {
  for (const auto count : {std::int64_t{1}, std::int64_t{33}}) {
    for (const auto& [half, shift] : {std::pair{1, 0}, {31, 0}, {128, 0}, {2, 1}, {128, 1}}) {
      const auto t = at::rand({count}, at::detail::createCPUGenerator(111)) * 1000;
      const auto angle = at::outer(
          t.to(at::kDouble), at::exp(at::arange(half, at::kDouble) * (-std::log(1e4) / (half - shift))));
      const auto expected = at::cat({at::cos(angle), at::sin(angle)}, 1);
      under_each_schedule(std::to_string(count) + " times, half " + std::to_string(half),
                          [&, half = half, shift = shift] {
                            Rows times(t.view({1, -1}), 0), out(count, 2 * half, at::kFloat, 3);
                            timestep_embedding({count, half, static_cast<float*>(times.data()),
                                                static_cast<float*>(out.data()), out.stride(), shift},
                                               {});
                            // An angle of up to 1000 has an fp32 rounding error of 3e-5, and so have its frequencies.
                            EXPECT_TRUE(near(out.values(), expected, 2e-4));
                            EXPECT_TRUE(out.intact());
                          });
    }
  }
}

TEST(CudaSampling, SplitByMask) {
  for (const auto& [images, tokens, width] : {std::tuple{1, 1, 1}, {3, 11, 33}, {2, 64, 129}}) {
    for (const auto& [type, limit] : kDtypes) {
      for (const bool one_per_image : {false, true}) {
        const std::int64_t rows = images * tokens, shared_by = one_per_image ? tokens : 1;
        const auto x = random({rows, width}, 115, type), mask = random({rows / shared_by, width}, 116, type);
        const auto xd = x.to(at::kDouble), m = mask.to(at::kDouble).repeat_interleave(shared_by, 0);
        under_each_schedule(std::to_string(rows) + " rows", [&, width = width, type = type, limit = limit] {
          Rows in(x, 1), by(mask, 2), task(rows, width, type, 4), shared(rows, width, type, 5);
          split_by_mask({dtype_of(type), rows, shared_by, width, in.data(), by.data(), in.stride(),
                         by.stride(), task.data(), shared.data(), task.stride(), shared.stride()},
                        {});
          EXPECT_TRUE(near(task.values(), xd * m, limit));
          EXPECT_TRUE(near(shared.values(), xd * (1 - m), limit));
          EXPECT_TRUE(same_bits(shared.values(), x - task.values()));
          EXPECT_TRUE(task.intact() && shared.intact());
        });
      }
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels::cuda

// The embedding of timesteps against its definition in double.
#include "kernels/timestep_embedding/timestep_embedding.h"

#include "../compare.h"

namespace switchyard::kernels {
namespace {

class TimestepEmbeddingOnDevice : public OnDevice {};
ON_EVERY_DEVICE(TimestepEmbeddingOnDevice);

TEST_P(TimestepEmbeddingOnDevice, EqualsTheDefinition) {
  for (const int64_t count : {1, 31, 33}) {
    for (const auto& [half, shift] :
         {std::pair<int64_t, int64_t>{1, 0}, {31, 0}, {128, 0}, {2, 1}, {128, 1}}) {
      const auto t = at::rand({count}, at::detail::createCPUGenerator(111), at::kDouble) * 1000;
      const auto angle = at::outer(
          t, at::exp(at::arange(half, at::kDouble) * (-std::log(1e4) / static_cast<double>(half - shift))));
      const auto y = timestep_embedding(t.to(device(), at::kFloat), half, shift);
      EXPECT_EQ(y.device().type(), device());
      EXPECT_EQ(y.scalar_type(), at::kFloat);
      // An angle of up to 1000 has an fp32 rounding error of 3e-5, and so have its frequencies.
      EXPECT_TRUE(near(y, at::cat({at::cos(angle), at::sin(angle)}, 1), 2e-4))
          << count << " times, half " << half << ", shift " << shift;
    }
  }
  EXPECT_THROW(timestep_embedding(at::ones({1}, device()), 1, 1), c10::Error);
}

TEST_P(TimestepEmbeddingOnDevice, TakesWholeNumbersAndAnyStride) {
  const auto t = at::tensor({0, 7, 999, 5}, at::device(device()).dtype(at::kLong));
  const auto y = timestep_embedding(t, 16);
  EXPECT_TRUE(same_bits(y, timestep_embedding(t.to(at::kFloat), 16)));
  EXPECT_TRUE(same_bits(timestep_embedding(t.slice(0, 0, 4, 2).to(at::kFloat), 16), y.slice(0, 0, 4, 2)));
}

}  // namespace
}  // namespace switchyard::kernels

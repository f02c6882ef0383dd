// The fused passes give the same bits on every instruction set that this processor has: an image drawn on one
// is the image drawn on another as far as these passes go. (That they are right is tested with the
// operations.)
#include "kernels/rows/row_loops.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "../compare.h"
#include "kernels/rows/rows.h"

namespace switchyard::kernels {
namespace {

constexpr InstructionSet kSets[] = {InstructionSet::sse2, InstructionSet::avx2, InstructionSet::avx512};

// All outputs of all passes for rows of one width.
template <class T>
std::vector<at::Tensor> outputs(const RowLoops<T>& loops, at::ScalarType dtype, int64_t rows, int64_t width) {
  constexpr int64_t k = 3;
  const auto x = random({rows, width}, 1, dtype) * 3 + 1, dy = random({rows, width}, 2, dtype);
  const auto shift = random({width}, 3, dtype), scale = random({width}, 4, dtype);
  const auto gate_up = random({rows, 2 * width}, 5, dtype) * 20;
  const auto weights = random({rows, k}, 6);
  const auto position = at::randperm(rows * k, at::detail::createCPUGenerator(7), at::kLong);
  const auto expert_rows = random({rows * k, width}, 8, dtype);
  const auto like = [](const at::Tensor& tensor) { return at::zeros_like(tensor); };
  auto h = like(x), d_gate_up = like(gate_up), y = like(x), dx = like(x), d_shift = like(shift),
       d_scale = like(scale), d_branch = like(x), d_gate = like(scale), sum = like(x), plain_sum = like(x),
       d_rows = like(expert_rows);
  auto mean = at::zeros({rows}), rstd = at::zeros({rows}), sums = at::zeros({2 * width}),
       d_weights = like(weights);
  const auto* at_position = position.const_data_ptr<int64_t>();

  loops.swiglu(rows_of<T>(gate_up), rows_of<T>(h), rows, width);
  loops.swiglu_backward(rows_of<T>(gate_up), rows_of<T>(dy), rows_of<T>(d_gate_up), rows, width);
  loops.norm_modulate(rows_of<T>(x), rows_of<T>(shift), rows_of<T>(scale), 1e-6, rows_of<T>(y),
                      rows_of<float>(mean), rows_of<float>(rstd), rows, width);
  loops.norm_modulate_backward(rows_of<T>(x), rows_of<T>(scale), rows_of<float>(mean), rows_of<float>(rstd),
                               rows_of<T>(dy), rows_of<T>(dx), rows_of<T>(d_shift), rows_of<T>(d_scale),
                               rows_of<float>(sums), rows, width);
  loops.gate_backward(rows_of<T>(x), rows_of<T>(scale), rows_of<T>(dy), rows_of<T>(d_branch),
                      rows_of<T>(d_gate), rows_of<float>(sums), rows, width);
  loops.combine(rows_of<T>(expert_rows), at_position, rows_of<float>(weights), rows_of<T>(sum), rows, k,
                width);
  loops.combine(rows_of<T>(expert_rows), at_position, nullptr, rows_of<T>(plain_sum), rows, k, width);
  loops.combine_backward(rows_of<T>(expert_rows), at_position, rows_of<float>(weights), rows_of<T>(dy),
                         rows_of<T>(d_rows), rows_of<float>(d_weights), rows, k, width);
  auto q = at::zeros(x.sizes(), at::kByte), q_h = at::zeros(x.sizes(), at::kByte);
  auto s = at::zeros({rows}), s_h = at::zeros({rows}), room = at::zeros({width});
  auto scaled = like(x);
  const auto product = random({rows, width}, 9), gate_up_product = random({rows, 2 * width}, 10) * 20;
  const auto bias = random({width}, 11);
  auto silu = like(x), gelu = like(x);
  loops.silu(rows_of<T>(x), rows_of<T>(silu), x.numel());
  loops.gelu(rows_of<T>(x), rows_of<T>(gelu), x.numel());
  loops.quantise(rows_of<T>(x), rows_of<uint8_t>(q), rows_of<float>(s), rows, width);
  loops.dequantise(rows_of<float>(product), rows_of<float>(s), rows_of<float>(bias), rows_of<T>(scaled), rows,
                   width);
  loops.swiglu_quantise(rows_of<float>(gate_up_product), rows_of<float>(s), rows_of<uint8_t>(q_h),
                        rows_of<float>(s_h), rows_of<float>(room), rows, width);
  return {h,   d_gate_up, y,      mean,      rstd, dx, d_shift, d_scale, d_branch, d_gate,
          sum, plain_sum, d_rows, d_weights, q,    s,  scaled,  q_h,     s_h};
}

template <class T>
void expect_same_bits(at::ScalarType dtype) {
  for (const int64_t width : {1, 15, 16, 31, 33, 192}) {
    const auto expected = outputs(row_loops<T>(InstructionSet::sse2), dtype, 5, width);
    for (const auto set : kSets) {
      if (!has_instruction_set(set)) continue;
      const auto got = outputs(row_loops<T>(set), dtype, 5, width);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_TRUE(same_bits(got[i], expected[i]))
            << "output " << i << ", set " << static_cast<int>(set) << ", width " << width;
      }
    }
  }
}

TEST(RowLoops, EveryInstructionSetGivesTheSameBitsInFp32) { expect_same_bits<float>(at::kFloat); }
TEST(RowLoops, EveryInstructionSetGivesTheSameBitsInBf16) { expect_same_bits<Bf16>(at::kBFloat16); }

// bf16 rounding is libtorch's, bit for bit: ties, the largest finite numbers, infinities, not-a-number.
TEST(RowLoops, Bf16IsRoundedAsLibtorchDoes) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {1.00390625f, 1.01171875f, 3.4e38f, -3.4e38f,
                                     kInfinite,   -kInfinite,  1e-40f,  -0.0f};
  const auto weight = at::tensor(values).view({-1, 1});  // products with 1: the value, rounded once
  const auto n = static_cast<int64_t>(values.size());
  const auto ones = at::ones({n, 1}, at::kBFloat16);
  const auto position = at::arange(n, at::kLong);
  auto y = at::zeros({n, 1}, at::kBFloat16);
  row_loops<Bf16>().combine(rows_of<Bf16>(ones), position.const_data_ptr<int64_t>(), rows_of<float>(weight),
                            rows_of<Bf16>(y), n, 1, 1);
  EXPECT_TRUE(same_bits(y, weight.to(at::kBFloat16)));
  const auto not_a_number = at::full({1, 1}, std::numeric_limits<float>::quiet_NaN());
  row_loops<Bf16>().combine(rows_of<Bf16>(ones), position.const_data_ptr<int64_t>(),
                            rows_of<float>(not_a_number), rows_of<Bf16>(y), 1, 1, 1);
  EXPECT_TRUE(y[0].isnan().all().item<bool>());
}

}  // namespace
}  // namespace switchyard::kernels

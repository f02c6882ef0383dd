// Combine: one block per token. Its backward: one warp per row.
#include "kernels/experts/combine_kernel.h"
#include "kernels/cuda/device.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 128, kWarps = kThreads / 32;

template <class T>
__global__ void __launch_bounds__(kThreads) combine_kernel(Combine a) {
  const std::int64_t token = blockIdx.x;
  const auto* rows = static_cast<const T*>(a.rows);
  const auto* position = a.position + token * a.k;
  const auto* weight = a.weights ? a.weights + token * a.k : nullptr;
  auto* y = static_cast<T*>(a.y) + token * a.y_stride;
  for (int i = thread(); i < a.width; i += kThreads) {
    float sum = 0;
    for (int slot = 0; slot < a.k; ++slot) {
      if (position[slot] < 0) continue;
      sum += (weight ? weight[slot] : 1) * to_float(rows[position[slot] * a.rows_stride + i]);
    }
    y[i] = from_float<T>(sum);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) combine_backward_kernel(CombineBackward a) {
  const std::int64_t slot = static_cast<std::int64_t>(blockIdx.x) * kWarps + warp();  // of all tokens
  if (slot < a.tokens * a.k) {  // the same for a whole warp
    const std::int64_t row = a.position[slot];
    if (row < 0) {
      if (lane() == 0) a.d_weights[slot] = 0;
      return;
    }
    const float weight = a.weights[slot];
    const auto* y_row = static_cast<const T*>(a.rows) + row * a.rows_stride;
    const auto* dy = static_cast<const T*>(a.dy) + slot / a.k * a.dy_stride;
    auto* d_row = static_cast<T*>(a.d_rows) + row * a.d_rows_stride;
    float sum = 0;
    for (int i = lane(); i < a.width; i += 32) {
      const float d = to_float(dy[i]);
      sum += d * to_float(y_row[i]);
      d_row[i] = from_float<T>(weight * d);
    }
    sum = warp_sum(sum);
    if (lane() == 0) a.d_weights[slot] = sum;
  }
}

}  // namespace

void combine(const Combine& a, Stream stream) {
  require(a.k >= 1, "combine: expected at least one slot");
  if (a.tokens == 0 || a.width == 0) return;
  launch(a.dtype == DType::bf16 ? combine_kernel<bf16> : combine_kernel<float>, blocks_for(a.tokens, 1),
         kThreads, 0, stream, a);
}

void combine_backward(const CombineBackward& a, Stream stream) {
  require(a.k >= 1, "combine_backward: expected at least one slot");
  if (a.tokens == 0) return;
  launch(a.dtype == DType::bf16 ? combine_backward_kernel<bf16> : combine_backward_kernel<float>,
         blocks_for(a.tokens * a.k, kWarps), kThreads, 0, stream, a);
}

}  // namespace switchyard::kernels::cuda

// Combine: one block per token.
#include "kernels/cuda/combine.h"
#include "kernels/cuda/device.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 128;

template <class T>
__global__ void __launch_bounds__(kThreads) combine_kernel(Combine a) {
  const std::int64_t token = blockIdx.x;
  const auto* rows = static_cast<const T*>(a.rows);
  const auto* position = a.position + token * a.k;
  const auto* weight = a.weights + token * a.k;
  auto* y = static_cast<T*>(a.y) + token * a.y_stride;
  for (int i = thread(); i < a.width; i += kThreads) {
    float sum = 0;
    for (int slot = 0; slot < a.k; ++slot)
      sum += weight[slot] * to_float(rows[position[slot] * a.rows_stride + i]);
    y[i] = from_float<T>(sum);
  }
}

}  // namespace

void combine(const Combine& a, Stream stream) {
  require(a.k >= 1, "combine: expected at least one slot");
  if (a.tokens == 0 || a.width == 0) return;
  launch(a.dtype == DType::bf16 ? combine_kernel<bf16> : combine_kernel<float>, blocks_for(a.tokens, 1),
         kThreads, 0, stream, a);
}

}  // namespace switchyard::kernels::cuda

// Element-wise kernels, one block per row.
#include "kernels/cuda/device.h"
#include "kernels/timestep_embedding/sampling_kernel.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) timestep_embedding_kernel(TimestepEmbedding a) {
  constexpr float kLog10000 = 9.210340371976184F;
  const std::int64_t n = blockIdx.x;
  float* y = a.y + n * a.y_stride;
  for (int i = thread(); i < a.half; i += kThreads) {
    const float angle = a.t[n] * expf(static_cast<float>(i) * -kLog10000 / static_cast<float>(a.half - a.shift));
    y[i] = cosf(angle);
    y[a.half + i] = sinf(angle);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) split_by_mask_kernel(MaskSplit a) {
  const std::int64_t r = blockIdx.x;
  const auto* x = static_cast<const T*>(a.x) + r * a.x_stride;
  const auto* mask = static_cast<const T*>(a.mask) + r / a.rows_per_mask * a.mask_stride;
  auto* task = static_cast<T*>(a.task) + r * a.task_stride;
  auto* shared = static_cast<T*>(a.shared) + r * a.shared_stride;
  for (int i = thread(); i < a.width; i += kThreads) {
    const float value = to_float(x[i]);
    const T through = from_float<T>(value * to_float(mask[i]));
    task[i] = through;
    shared[i] = from_float<T>(value - to_float(through));  // of the rounded product: the parts add up to x
  }
}

}  // namespace

void timestep_embedding(const TimestepEmbedding& a, Stream stream) {
  if (a.count == 0 || a.half == 0) return;
  require(a.shift < a.half, "timestep_embedding: expected a shift below half");
  launch(timestep_embedding_kernel, blocks_for(a.count, 1), kThreads, 0, stream, a);
}

void split_by_mask(const MaskSplit& a, Stream stream) {
  if (a.rows == 0 || a.width == 0) return;
  require(a.rows_per_mask >= 1, "split_by_mask: expected at least one row per mask");
  launch(a.dtype == DType::bf16 ? split_by_mask_kernel<bf16> : split_by_mask_kernel<float>,
         blocks_for(a.rows, 1), kThreads, 0, stream, a);
}

}  // namespace switchyard::kernels::cuda

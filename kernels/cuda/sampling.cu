// Element-wise kernels: one thread per result, or one block per row where rows have strides.
#include "kernels/cuda/device.h"
#include "kernels/cuda/sampling.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads) timestep_embedding_kernel(TimestepEmbedding a) {
  constexpr float kLog10000 = 9.210340371976184F;
  const std::int64_t n = blockIdx.x;
  float* y = a.y + n * a.y_stride;
  for (int i = thread(); i < a.half; i += kThreads) {
    const float angle = a.t[n] * expf(static_cast<float>(i) * -kLog10000 / static_cast<float>(a.half));
    y[i] = cosf(angle);
    y[a.half + i] = sinf(angle);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads) guided_euler_kernel(GuidedEuler a) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + thread();
  if (i >= a.count) return;  // no barrier follows
  float v = to_float(static_cast<const T*>(a.conditional)[i]);
  if (a.unconditional) {
    const float u = to_float(static_cast<const T*>(a.unconditional)[i]);
    v = u + a.scale * (v - u);
  }
  a.z_next[i] = a.z[i] + a.dt * v;
}

template <class T>
__global__ void __launch_bounds__(kThreads) folded_mask_kernel(FoldedMask a) {
  const std::int64_t r = blockIdx.x, n = r / a.rows_per_image;
  const auto* x = static_cast<const T*>(a.x) + r * a.x_stride;
  const auto* product = static_cast<const T*>(a.product) + r * a.product_stride;
  const auto* bias = static_cast<const T*>(a.bias) + n * a.bias_stride;
  auto* task = static_cast<T*>(a.task) + r * a.task_stride;
  auto* shared = static_cast<T*>(a.shared) + r * a.shared_stride;
  for (int i = thread(); i < a.width; i += kThreads) {
    const float m = to_float(product[i]) + to_float(bias[i]), value = to_float(x[i]);
    task[i] = from_float<T>(value * m);
    shared[i] = from_float<T>(value * (1 - m));
  }
}

}  // namespace

void timestep_embedding(const TimestepEmbedding& a, Stream stream) {
  if (a.count == 0 || a.half == 0) return;
  launch(timestep_embedding_kernel, blocks_for(a.count, 1), kThreads, 0, stream, a);
}

void guided_euler(const GuidedEuler& a, Stream stream) {
  if (a.count == 0) return;
  launch(a.dtype == DType::bf16 ? guided_euler_kernel<bf16> : guided_euler_kernel<float>,
         blocks_for(a.count, kThreads), kThreads, 0, stream, a);
}

void folded_mask(const FoldedMask& a, Stream stream) {
  if (a.rows == 0 || a.width == 0) return;
  launch(a.dtype == DType::bf16 ? folded_mask_kernel<bf16> : folded_mask_kernel<float>, blocks_for(a.rows, 1),
         kThreads, 0, stream, a);
}

}  // namespace switchyard::kernels::cuda

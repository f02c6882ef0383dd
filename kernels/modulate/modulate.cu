// adaLN: one block per row. The row is read once and kept in shared memory for the second pass (the variance
// around the mean, which a one-pass sum of squares would lose to cancellation) and the third (the output).
#include "kernels/cuda/device.h"
#include "kernels/modulate/modulate_kernel.h"

namespace switchyard::kernels::cuda {
namespace {

constexpr int kThreads = 128;

// The same sum in every thread, in a fixed order. `partial` [kThreads / 32] is shared.
__device__ __forceinline__ float block_sum(float x, float* partial) {
  x = warp_sum(x);
  __syncthreads();  // an earlier sum may still be read
  if (lane() == 0) partial[warp()] = x;
  __syncthreads();
  float sum = 0;
  UNROLL
  for (int w = 0; w < kThreads / 32; ++w) sum += partial[w];
  return sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads) modulated_layer_norm_kernel(ModulatedLayerNorm a) {
  SHARED_ARRAY(float, partial, kThreads / 32);
  DynamicShared shared;
  auto* row = shared.take<float>(a.width);  // each thread reads back only what it wrote
  const std::int64_t r = blockIdx.x, n = r / a.rows_per_image;
  const auto* x = static_cast<const T*>(a.x) + r * a.x_stride;
  const auto* shift = static_cast<const T*>(a.shift) + n * a.shift_stride;
  const auto* scale = static_cast<const T*>(a.scale) + n * a.scale_stride;
  auto* y = static_cast<T*>(a.y) + r * a.y_stride;
  const auto width = static_cast<float>(a.width);

  float sum = 0;
  for (int i = thread(); i < a.width; i += kThreads) {
    row[i] = to_float(x[i]);
    sum += row[i];
  }
  const float mean = block_sum(sum, partial) / width;
  float squares = 0;
  for (int i = thread(); i < a.width; i += kThreads) squares += (row[i] - mean) * (row[i] - mean);
  const float inverse = rsqrtf(block_sum(squares, partial) / width + a.eps);
  for (int i = thread(); i < a.width; i += kThreads)
    y[i] = from_float<T>((row[i] - mean) * inverse * (1 + to_float(scale[i])) + to_float(shift[i]));
}

template <class T>
__global__ void __launch_bounds__(kThreads) gated_residual_kernel(GatedResidual a) {
  const std::int64_t r = blockIdx.x, n = r / a.rows_per_image;
  const auto* x = static_cast<const T*>(a.x) + r * a.x_stride;
  const auto* gate = static_cast<const T*>(a.gate) + n * a.gate_stride;
  const auto* branch = static_cast<const T*>(a.branch) + r * a.branch_stride;
  auto* y = static_cast<T*>(a.y) + r * a.y_stride;
  for (int i = thread(); i < a.width; i += kThreads)
    y[i] = from_float<T>(to_float(x[i]) + to_float(gate[i]) * to_float(branch[i]));
}

}  // namespace

void modulated_layer_norm(const ModulatedLayerNorm& a, Stream stream) {
  require(a.width >= 1 && a.width <= kMaxLayerNormWidth,
          "modulated_layer_norm: expected a width of 1 to 12288");
  if (a.rows == 0) return;
  const auto kernel =
      a.dtype == DType::bf16 ? modulated_layer_norm_kernel<bf16> : modulated_layer_norm_kernel<float>;
  launch(kernel, blocks_for(a.rows, 1), kThreads, static_cast<std::size_t>(a.width) * sizeof(float), stream,
         a);
}

void gated_residual(const GatedResidual& a, Stream stream) {
  if (a.rows == 0 || a.width == 0) return;
  const auto kernel = a.dtype == DType::bf16 ? gated_residual_kernel<bf16> : gated_residual_kernel<float>;
  launch(kernel, blocks_for(a.rows, 1), kThreads, 0, stream, a);
}

}  // namespace switchyard::kernels::cuda

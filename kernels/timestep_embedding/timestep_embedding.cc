#include "kernels/timestep_embedding/timestep_embedding.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>

#include <cmath>

#include "kernels/on_device.h"

namespace switchyard::kernels {
namespace {

at::Tensor timestep_embedding_cuda(const cuda::Backend& kernels, const at::Tensor& t, int64_t half,
                                   int64_t shift) {
  const c10::DeviceGuard on(t.device());
  const auto times = t.contiguous();
  auto y = at::empty({t.size(0), 2 * half}, t.options());
  kernels.timestep_embedding({.count = t.size(0),
                              .half = static_cast<int>(half),
                              .t = times.const_data_ptr<float>(),
                              .y = y.mutable_data_ptr<float>(),
                              .y_stride = 2 * half,
                              .shift = static_cast<int>(shift)},
                             current_stream(t));
  return y;
}

}  // namespace

at::Tensor timestep_embedding(const at::Tensor& t, int64_t half, int64_t shift) {
  TORCH_CHECK(half > shift, "timestep_embedding: expected a half above the shift, got ", half, " and ",
              shift);
  const auto times = t.to(at::kFloat);
  if (const auto* kernels = cuda_kernels({times}))
    return timestep_embedding_cuda(*kernels, times, half, shift);
  const auto index = at::arange(half, times.options());
  const auto frequencies = at::exp(index * -std::log(10000.0) / static_cast<double>(half - shift));
  const auto angle = at::outer(times, frequencies);
  return at::cat({at::cos(angle), at::sin(angle)}, 1);
}

}  // namespace switchyard::kernels

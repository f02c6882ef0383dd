#include "dit/guided_forward.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace switchyard::dit {

int64_t officially_guided_channels(const ModelConfig& config) {
  return config.integer_timesteps() ? config.in_channels : std::min<int64_t>(3, config.out_channels());
}

at::Tensor guided_forward(const DiffusionTransformer& model, const at::Tensor& x, const at::Tensor& t,
                          const at::Tensor& y, double scale, int64_t guided_channels,
                          const RoutingTape& tape) {
  const int64_t n = x.size(0) / 2;
  const auto first = x.narrow(0, 0, n);
  auto out = model.forward(at::cat({first, first}), t, y, {}, tape);
  const auto guided = out.narrow(1, 0, guided_channels);
  const auto c = guided.narrow(0, 0, n), u = guided.narrow(0, n, n);
  const auto mixed = u + scale * (c - u);
  out.narrow(1, 0, guided_channels).copy_(at::cat({mixed, mixed}));
  return out;
}

}  // namespace switchyard::dit

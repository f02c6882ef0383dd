#include "dit/replayed_forward.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "kernels/cuda/graph.h"

namespace switchyard::dit {

// The graph reads and writes these tensors, whoever calls.
struct ReplayedForward::Recording {
  at::Tensor x, t, y, out;
  std::unique_ptr<kernels::cuda::Graph> graph;  // first to go

  bool takes(const at::Tensor& other_x, const at::Tensor& other_t, const at::Tensor& other_y) const {
    const auto alike = [](const at::Tensor& a, const at::Tensor& b) {
      return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type();
    };
    return alike(x, other_x) && alike(t, other_t) && alike(y, other_y);
  }
};

at::Tensor ReplayedForward::operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y) {
  const at::NoGradGuard no_grad;
  if (!model_->device().is_cuda() || model_->config().integer_timesteps()) return model_->forward(x, t, y);

  const auto [place, is_new] = recordings_.try_emplace(x.size(0));
  auto& recording = place->second;
  if (is_new) {
    const auto here = [&](const at::Tensor& input) {
      return input.to(model_->device(), input.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
    };
    auto made = std::make_shared<Recording>(Recording{here(x), here(t), here(y), {}, nullptr});
    made->graph = kernels::cuda::record(model_->device(), [recorded = made.get(), model = model_] {
      recorded->out = model->forward(recorded->x, recorded->t, recorded->y);
    });
    if (made->graph != nullptr) recording = std::move(made);
  }
  if (recording == nullptr || !recording->takes(x, t, y)) return model_->forward(x, t, y);
  recording->x.copy_(x, /*non_blocking=*/true);
  recording->t.copy_(t, /*non_blocking=*/true);
  recording->y.copy_(y, /*non_blocking=*/true);
  recording->graph->replay();
  return recording->out.clone();
}

bool ReplayedForward::replays(int64_t images) const {
  const auto found = recordings_.find(images);
  return found != recordings_.end() && found->second != nullptr;
}

}  // namespace switchyard::dit

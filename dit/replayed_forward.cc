#include "dit/replayed_forward.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <array>

#include "kernels/cuda/graph.h"

namespace switchyard::dit {
namespace {

// The tensors of control and tape in one order; some are undefined.
std::array<at::Tensor*, 4> tensors_of(RoutingControl& c) {
  return {&c.tokens.bias, &c.tokens.scale, &c.timesteps.bias, &c.timesteps.scale};
}
std::array<at::Tensor*, 4> tensors_of(RoutingTape& t) {
  return {&t.tokens.gate_weights, &t.tokens.probabilities, &t.timesteps.gate_weights,
          &t.timesteps.probabilities};
}

unsigned defined_bits(RoutingControl control, RoutingTape tape) {
  unsigned bits = 0;
  for (const auto* tensor : tensors_of(control)) bits = 2 * bits + (tensor->defined() ? 1 : 0);
  for (const auto* tensor : tensors_of(tape)) bits = 2 * bits + (tensor->defined() ? 1 : 0);
  return bits;
}

template <class Tensors>
void copy_defined(Tensors& to, Tensors from) {
  const auto targets = tensors_of(to), sources = tensors_of(from);
  for (size_t i = 0; i < targets.size(); ++i)
    if (targets[i]->defined()) targets[i]->copy_(*sources[i], /*non_blocking=*/true);
}

template <class Tensors>
bool alike(Tensors a, Tensors b) {
  const auto left = tensors_of(a), right = tensors_of(b);
  return std::ranges::equal(left, right, [](const at::Tensor* one, const at::Tensor* other) {
    return one->defined() == other->defined() && (!one->defined() || one->sizes() == other->sizes());
  });
}

}  // namespace

// The graph reads and writes these tensors, whoever calls.
struct ReplayedForward::Recording {
  at::Tensor x, t, y, out;
  RoutingControl control;
  RoutingTape tape;
  std::unique_ptr<kernels::cuda::Graph> graph;  // first to go

  bool takes(const at::Tensor& other_x, const at::Tensor& other_t, const at::Tensor& other_y,
             const RoutingControl& other_control, const RoutingTape& other_tape) const {
    const auto same = [](const at::Tensor& a, const at::Tensor& b) {
      return a.sizes() == b.sizes() && a.scalar_type() == b.scalar_type();
    };
    return same(x, other_x) && same(t, other_t) && same(y, other_y) && alike(control, other_control) &&
           alike(tape, other_tape);
  }
};

at::Tensor ReplayedForward::operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                                       const RoutingControl& control, const RoutingTape& tape,
                                       const Stop& stop) {
  const at::NoGradGuard no_grad;
  if (!model_->device().is_cuda() || model_->config().integer_timesteps())
    return model_->forward(x, t, y, control, tape, stop);

  const auto [place, is_new] =
      recordings_.try_emplace({x.size(0), control.experts_per_token, defined_bits(control, tape)});
  auto& recording = place->second;
  if (is_new) {
    const auto here = [&](const at::Tensor& input) {
      return input.to(model_->device(), input.scalar_type(), /*non_blocking=*/false, /*copy=*/true);
    };
    auto made = std::make_shared<Recording>(Recording{here(x), here(t), here(y), {}, control, tape, nullptr});
    for (auto* tensor : tensors_of(made->control))
      if (tensor->defined()) *tensor = here(*tensor);
    for (auto* tensor : tensors_of(made->tape))
      if (tensor->defined()) *tensor = here(*tensor);
    made->graph = kernels::cuda::record(model_->device(), [recorded = made.get(), model = model_] {
      recorded->out =
          model->forward(recorded->x, recorded->t, recorded->y, recorded->control, recorded->tape);
    });
    if (made->graph != nullptr) recording = std::move(made);
  }
  if (recording == nullptr || !recording->takes(x, t, y, control, tape))
    return model_->forward(x, t, y, control, tape, stop);
  if (stop && stop()) throw Stopped();
  recording->x.copy_(x, /*non_blocking=*/true);
  recording->t.copy_(t, /*non_blocking=*/true);
  recording->y.copy_(y, /*non_blocking=*/true);
  copy_defined(recording->control, control);
  recording->graph->replay();
  auto written = tape;
  copy_defined(written, recording->tape);
  return recording->out.clone();
}

bool ReplayedForward::replays(int64_t images) const {
  return std::ranges::any_of(recordings_, [&](const auto& recording) {
    return std::get<0>(recording.first) == images && recording.second != nullptr;
  });
}

}  // namespace switchyard::dit

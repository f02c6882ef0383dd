#include "dit/routing_control.h"

#include <ATen/ATen.h>

#include "dit/routing_tape.h"

namespace switchyard::dit {
namespace {

at::Tensor images_of(const at::Tensor& all, int64_t first, int64_t count) {
  return all.defined() && all.size(1) > 1 ? all.narrow(1, first, count) : all;
}

}  // namespace

RoutingControl RoutingControl::narrow(int64_t first, int64_t count) const {
  const auto part = [&](const Of& all) {
    return Of{images_of(all.bias, first, count), images_of(all.scale, first, count)};
  };
  return {part(tokens), part(timesteps), experts_per_token};
}

kernels::Selection selection_of(const RoutingControl::Of& control, int64_t layer, int64_t experts) {
  const auto of_block = [&](const at::Tensor& all) {
    return all.defined() ? all.select(0, layer).narrow(-1, 0, experts) : all;
  };
  return {of_block(control.bias), of_block(control.scale)};
}

RoutingTape RoutingTape::allocate(const ModelConfig& config, int64_t images, bool with_probabilities,
                                  at::Device device) {
  const auto of = [&](bool routes, int64_t tokens, int64_t experts) {
    const auto zeros = [&] { return at::zeros({config.depth, images, tokens, experts}, device); };
    if (!routes) return Of{};
    return Of{zeros(), with_probabilities ? zeros() : at::Tensor()};
  };
  return {of(config.routes_tokens(), config.tokens(), config.num_experts),
          of(config.routes_timesteps(), 1, config.timestep_experts)};
}

RoutingTape RoutingTape::narrow(int64_t first, int64_t count) const {
  const auto rows = [&](const at::Tensor& all) { return all.defined() ? all.narrow(1, first, count) : all; };
  const auto part = [&](const Of& all) { return Of{rows(all.gate_weights), rows(all.probabilities)}; };
  return {part(tokens), part(timesteps)};
}

void write(const RoutingTape::Of& tape, int64_t layer, const kernels::Routing& routing) {
  const auto place = [&](const at::Tensor& all) {
    return all.select(0, layer).narrow(-1, 0, routing.probabilities.size(1));
  };
  if (tape.gate_weights.defined()) kernels::write_gate_weights(routing, place(tape.gate_weights));
  if (tape.probabilities.defined()) {
    auto out = place(tape.probabilities);
    out.copy_(routing.probabilities.detach().view_as(out));
  }
  if (tape.kept != nullptr) tape.kept->push_back(routing);
}

}  // namespace switchyard::dit

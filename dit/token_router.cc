// What gated routers share, and the table of token routers: a new one is its file and a line here.
#include "dit/token_router.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

namespace switchyard::dit {

GatedRouter::GatedRouter(int64_t experts, int64_t width, const at::TensorOptions& options)
    : gate_(at::empty({experts, width}, options)) {}

void GatedRouter::pack() {
  packed_ = kernels::PackedGate(gate_);
  if (gate_.is_cpu()) give_up(gate_);
}

std::vector<Parameter> GatedRouter::parameters(const std::string& prefix) {
  return {{prefix + "gate.weight", &gate_}};
}

void GatedRouter::initialize(const at::Generator& generator) {
  initialize_with(gate_, [&](at::Tensor& gate) {
    const double bound = 1.0 / std::sqrt(static_cast<double>(gate.size(1)));
    gate.uniform_(-bound, bound, generator);
  });
}

at::Tensor GatedRouter::probabilities(const at::Tensor& rows) const {
  return packed_.defined() ? packed_.probabilities(rows) : kernels::gate_probabilities(rows, gate_);
}

kernels::Routing GatedRouter::top_k(const at::Tensor& x, int64_t k, const kernels::Selection& selection) const {
  const auto rows = x.flatten(0, 1);
  return packed_.defined() ? packed_(rows, k, selection, x.size(0))
                           : kernels::route_tokens(rows, gate_, k, selection, x.size(0));
}

std::unique_ptr<TokenRouter> make_top_k(int64_t, int64_t, const at::TensorOptions&);
std::unique_ptr<TokenRouter> make_expert_choice(int64_t, int64_t, const at::TensorOptions&);
std::unique_ptr<TokenRouter> make_loss_free(int64_t, int64_t, const at::TensorOptions&);

std::span<const TokenRouterKind> token_routers() {
  static constexpr std::array kKinds = {
      TokenRouterKind{.name = "top_k", .make = make_top_k, .needs_balance_loss = true, .ragged = false},
      TokenRouterKind{.name = "expert_choice", .make = make_expert_choice, .needs_balance_loss = false, .ragged = true},
      TokenRouterKind{.name = "loss_free", .make = make_loss_free, .needs_balance_loss = false, .ragged = false},
  };
  return kKinds;
}

}  // namespace switchyard::dit

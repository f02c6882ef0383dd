#include "dit/moe_feed_forward.h"

#include <ATen/ATen.h>

#include "kernels/experts/experts.h"

namespace switchyard::dit {
namespace {

// The experts of a block are stored stacked; state_dict() shows one view per expert.
class MoeFeedForward : public FeedForward {
 public:
  MoeFeedForward(const ModelConfig& c, const at::TensorOptions& options)
      : experts_per_token_(c.experts_per_token),
        gate_(at::empty({c.num_experts, c.hidden_size}, options)),
        gate_up_(at::empty({c.num_experts, 2 * c.expert_hidden, c.hidden_size}, options)),
        down_(at::empty({c.num_experts, c.hidden_size, c.expert_hidden}, options)) {
    if (c.shared_hidden == 0) return;
    shared_gate_up_ = at::empty({2 * c.shared_hidden, c.hidden_size}, options);
    shared_down_ = at::empty({c.hidden_size, c.shared_hidden}, options);
  }

  at::Tensor operator()(const at::Tensor& x, int64_t layer, const RoutingObserver& observe) const override {
    const bool packed = packed_gate_.defined();
    const auto rows = x.flatten(0, 1);  // [N T, D]
    const auto routing = packed ? packed_gate_(rows, experts_per_token_)
                                : kernels::route_tokens(rows, gate_, experts_per_token_);
    if (observe.tokens) observe.tokens(layer, routing);

    auto y =
        packed ? packed_experts_(rows, routing) : kernels::routed_experts(rows, routing, gate_up_, down_);
    if (shared_down_.defined())
      y = y + (packed ? packed_shared_(rows) : kernels::swiglu(rows, shared_gate_up_, shared_down_));
    return y.view_as(x);
  }

  void pack(kernels::Products products) override {
    packed_gate_ = kernels::PackedGate(gate_);
    packed_experts_ = kernels::PackedExperts(gate_up_, down_, products);
    if (shared_down_.defined())
      packed_shared_ = kernels::PackedSwiGlu(shared_gate_up_, shared_down_, products);
  }

  std::vector<Parameter> parameters(const std::string& prefix) override {
    std::vector<Parameter> all{{prefix + "moe.gate.weight", &gate_},
                               {prefix + "moe.experts.gate_up", &gate_up_},
                               {prefix + "moe.experts.down", &down_}};
    if (shared_down_.defined()) {
      all.push_back({prefix + "moe.shared_experts.gate_up", &shared_gate_up_});
      all.push_back({prefix + "moe.shared_experts.down", &shared_down_});
    }
    return all;
  }

  void add_state(const std::string& prefix, StateDict& state) override {
    const auto add_expert = [&](const std::string& name, const at::Tensor& gate_up, const at::Tensor& down) {
      const auto parts = gate_up.detach().chunk(2, 0);
      state[name + ".gate_proj.weight"] = parts[0];
      state[name + ".up_proj.weight"] = parts[1];
      state[name + ".down_proj.weight"] = down.detach();
    };
    state[prefix + "moe.gate.weight"] = gate_.detach();
    for (int64_t e = 0; e < down_.size(0); ++e)
      add_expert(prefix + "moe.experts." + std::to_string(e), gate_up_[e], down_[e]);
    if (shared_down_.defined()) add_expert(prefix + "moe.shared_experts", shared_gate_up_, shared_down_);
  }

 private:
  int64_t experts_per_token_;
  at::Tensor gate_;                          // [E, D]
  at::Tensor gate_up_, down_;                // [E, 2H, D], [E, D, H]
  at::Tensor shared_gate_up_, shared_down_;  // [2S, D], [D, S]; undefined without a shared expert
  kernels::PackedGate packed_gate_;          // these are defined after pack()
  kernels::PackedExperts packed_experts_;
  kernels::PackedSwiGlu packed_shared_;
};

}  // namespace

void validate_moe(const ModelConfig& c) {
  require_size("num_experts", c.num_experts, 1, 1024);
  require_size("experts_per_token", c.experts_per_token, 1, 1024);
  require_size("expert_hidden", c.expert_hidden, 1, 131072);
  require_size("shared_hidden", c.shared_hidden, 0, 131072);
  require(c.experts_per_token <= c.num_experts, "experts_per_token " + std::to_string(c.experts_per_token) +
                                                    " must be at most num_experts " +
                                                    std::to_string(c.num_experts));
  require(c.mlp_hidden == 0,
          "mlp_hidden must be 0 with feed_forward \"moe\", got " + std::to_string(c.mlp_hidden));
}

ParameterCount count_moe(const ModelConfig& c) {
  const int64_t expert = 3 * c.hidden_size * c.expert_hidden;
  const int64_t always = c.num_experts * c.hidden_size + 3 * c.hidden_size * c.shared_hidden;
  return {always + c.num_experts * expert, always + c.experts_per_token * expert};
}

std::unique_ptr<FeedForward> make_moe(const ModelConfig& config, const at::TensorOptions& options) {
  return std::make_unique<MoeFeedForward>(config, options);
}

}  // namespace switchyard::dit

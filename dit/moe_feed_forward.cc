#include "dit/moe_feed_forward.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "dit/token_router.h"
#include "kernels/experts/experts.h"

namespace switchyard::dit {
namespace {

// The experts of a block are stored stacked; state_dict() shows one view per expert.
class MoeFeedForward : public FeedForward {
 public:
  MoeFeedForward(const ModelConfig& c, int64_t block, const at::TensorOptions& options)
      : experts_per_token_(c.experts_per_token),
        experts_(c.experts_of(block)),
        router_(find_part(token_routers(), c.token_router)->make(experts_, c.hidden_size, options)),
        gate_up_(at::empty({experts_, 2 * c.expert_hidden_of(block), c.hidden_size}, options)),
        down_(at::empty({experts_, c.hidden_size, c.expert_hidden_of(block)}, options)) {
    if (c.shared_hidden == 0) return;
    shared_gate_up_ = at::empty({2 * c.shared_hidden, c.hidden_size}, options);
    shared_down_ = at::empty({c.hidden_size, c.shared_hidden}, options);
  }

  at::Tensor operator()(const at::Tensor& x, int64_t layer, const RoutingControl& control,
                        const RoutingTape& tape) const override {
    const int64_t k = control.experts_per_token > 0 ? control.experts_per_token : experts_per_token_;
    const auto routing = (*router_)(x, k, selection_of(control.tokens, layer, experts_));
    write(tape.tokens, layer, routing);

    const bool packed = packed_experts_.defined();
    const auto rows = x.flatten(0, 1);  // [N T, D]
    auto y =
        packed ? packed_experts_(rows, routing) : kernels::routed_experts(rows, routing, gate_up_, down_);
    if (shared_down_.defined())
      y = y + (packed ? packed_shared_(rows) : kernels::swiglu(rows, shared_gate_up_, shared_down_));
    return y.view_as(x);
  }

  void pack(kernels::Packing packing) override {
    router_->pack();
    packed_experts_ = kernels::PackedExperts(gate_up_, down_, packing);
    if (shared_down_.defined())
      packed_shared_ = kernels::PackedSwiGlu(shared_gate_up_, shared_down_, packing);
    for (auto* weight : {&gate_up_, &down_, &shared_gate_up_, &shared_down_})
      if (weight->defined()) give_up(*weight);
  }

  void balance(const at::Tensor& choices) override { router_->balance(choices); }

  void initialize(const at::Generator& generator) override {
    router_->initialize(generator);
    const auto draw = [&](at::Tensor& matrix) {  // each of its linear layers by itself
      for (const auto& linear : matrix.chunk(2, 0)) xavier_uniform(linear, generator);
    };
    for (int64_t e = 0; e < experts_; ++e) {
      auto gate_up = gate_up_[e], down = down_[e];
      initialize_with(gate_up, draw);
      initialize_with(down, [&](at::Tensor& matrix) { xavier_uniform(matrix, generator); });
    }
    if (!shared_down_.defined()) return;
    initialize_with(shared_gate_up_, draw);
    initialize_with(shared_down_, [&](at::Tensor& matrix) { xavier_uniform(matrix, generator); });
  }

  std::vector<Parameter> parameters(const std::string& prefix) override {
    auto all = router_->parameters(prefix + "moe.");
    all.push_back({prefix + "moe.experts.gate_up", &gate_up_});
    all.push_back({prefix + "moe.experts.down", &down_});
    if (shared_down_.defined()) {
      all.push_back({prefix + "moe.shared_experts.gate_up", &shared_gate_up_});
      all.push_back({prefix + "moe.shared_experts.down", &shared_down_});
    }
    return all;
  }

  std::vector<Parameter> buffers(const std::string& prefix) override {
    return router_->buffers(prefix + "moe.");
  }

  void add_state(const std::string& prefix, StateDict& state) override {
    const auto add_expert = [&](const std::string& name, const at::Tensor& gate_up, const at::Tensor& down) {
      const auto parts = gate_up.detach().chunk(2, 0);
      state[name + ".gate_proj.weight"] = parts[0];
      state[name + ".up_proj.weight"] = parts[1];
      state[name + ".down_proj.weight"] = down.detach();
    };
    router_->add_state(prefix + "moe.", state);
    for (int64_t e = 0; e < down_.size(0); ++e)
      add_expert(prefix + "moe.experts." + std::to_string(e), gate_up_[e], down_[e]);
    if (shared_down_.defined()) add_expert(prefix + "moe.shared_experts", shared_gate_up_, shared_down_);
  }

 private:
  int64_t experts_per_token_, experts_;
  std::unique_ptr<TokenRouter> router_;
  at::Tensor gate_up_, down_;                // [E, 2H, D], [E, D, H]
  at::Tensor shared_gate_up_, shared_down_;  // [2S, D], [D, S]; undefined without a shared expert
  kernels::PackedExperts packed_experts_;    // these are defined after pack()
  kernels::PackedSwiGlu packed_shared_;
};

// Empty, or one size per block, of which `most` is the largest.
void require_sizes_of_blocks(const ModelConfig& c, const char* field, const std::vector<int64_t>& sizes,
                             int64_t least, int64_t most) {
  if (sizes.empty()) return;
  require(static_cast<int64_t>(sizes.size()) == c.depth,
          std::string(field) + " must be empty or " + std::to_string(c.depth) + " sizes, got " +
              std::to_string(sizes.size()));
  for (const int64_t size : sizes) require_size(field, size, least, most);
  require(std::ranges::max(sizes) == most, std::string(field) + ": its largest must be " + std::to_string(most) +
                                               ", got " + std::to_string(std::ranges::max(sizes)));
}

}  // namespace

void validate_moe(const ModelConfig& c) {
  require_size("num_experts", c.num_experts, 1, 1024);
  require_size("experts_per_token", c.experts_per_token, 1, 1024);
  require_size("expert_hidden", c.expert_hidden, 1, 131072);
  require_size("shared_hidden", c.shared_hidden, 0, 131072);
  require(c.experts_per_token <= c.num_experts, "experts_per_token " + std::to_string(c.experts_per_token) +
                                                    " must be at most num_experts " +
                                                    std::to_string(c.num_experts));
  require_sizes_of_blocks(c, "block_experts", c.block_experts, c.experts_per_token, c.num_experts);
  require_sizes_of_blocks(c, "block_expert_hidden", c.block_expert_hidden, 1, c.expert_hidden);
  require(c.mlp_hidden == 0,
          "mlp_hidden must be 0 with feed_forward \"moe\", got " + std::to_string(c.mlp_hidden));
}

ParameterCount count_moe(const ModelConfig& c, int64_t block) {
  const int64_t experts = c.experts_of(block), expert = 3 * c.hidden_size * c.expert_hidden_of(block);
  const int64_t always = experts * c.hidden_size + 3 * c.hidden_size * c.shared_hidden;
  return {always + experts * expert, always + c.experts_per_token * expert};
}

std::unique_ptr<FeedForward> make_moe(const ModelConfig& config, int64_t block, const at::TensorOptions& options) {
  return std::make_unique<MoeFeedForward>(config, block, options);
}

}  // namespace switchyard::dit

#include "dit/timestep_experts.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <numeric>

#include "dit/task_masks.h"
#include "kernels/activation/activation.h"
#include "kernels/experts/expert_mask.h"

namespace switchyard::dit {
namespace {

class TimestepExperts : public BlockRouter {
 public:
  TimestepExperts(const ModelConfig& c, const at::TensorOptions& options)
      : experts_per_timestep_(c.experts_per_timestep),
        gate_(c.timestep_experts, c.hidden_size, options),
        weight_(at::empty({c.timestep_experts, c.hidden_size, c.hidden_size}, options)),
        bias_(at::empty({c.timestep_experts, c.hidden_size}, options)) {}

  at::Tensor mask(const at::Tensor& x, const TimestepInput& time, int64_t layer, const RoutingControl& control,
                  const RoutingTape& tape) const override {
    const auto selection = selection_of(control.timesteps, layer, weight_.size(0));
    const bool packed = table_.experts.defined();
    if (packed && !selection.defined()) {
      if (tape.timesteps.defined()) write(tape.timesteps, layer, rows_of(table_, time.index));
      return folded_mask(x, time.values, [&](int64_t n) { return std::pair(&table_, time.values[n]); });
    }
    const auto p = packed ? table_.probabilities.index_select(0, time.index) : probabilities(time.embedding);
    const auto routing = kernels::select_top_k(p, experts_per_timestep_, selection, x.size(0));
    write(tape.timesteps, layer, routing);
    if (!packed) return kernels::expert_mask(x, routing, weight_, bias_);
    // Every image has a matrix of its own: their control may differ although their timesteps do not.
    std::vector<int64_t> own(x.size(0));
    std::iota(own.begin(), own.end(), 0);
    return folded_mask(x, own, [&](int64_t n) { return std::pair(&routing, n); });
  }

  void pack(const at::Tensor& embeddings) override {
    const at::NoGradGuard no_grad;
    table_ = *route(embeddings);
  }

  std::optional<kernels::Routing> route(const at::Tensor& embeddings) const override {
    return kernels::route_top_k(logits(embeddings), experts_per_timestep_);
  }

  std::vector<Parameter> parameters(const std::string& prefix) override {
    return {{prefix + "f_gate.1.weight", &gate_.weight},
            {prefix + "f_gate.1.bias", &gate_.bias},
            {prefix + "experts.w", &weight_},
            {prefix + "experts.b", &bias_}};
  }

  void initialize(const at::Generator& generator) override {
    initialize_with(gate_.weight, [&](at::Tensor& w) { xavier_uniform(w, generator); });
    gate_.bias.zero_();
    weight_.zero_();  // m = 1: the block begins as one without a router
    bias_.zero_();
  }

 private:
  // The router is discontinuous: it is always evaluated in fp32.
  at::Tensor logits(const at::Tensor& embeddings) const {
    return kernels::linear_reference(kernels::silu(embeddings.to(at::kFloat)), gate_.weight.to(at::kFloat),
                                     gate_.bias.to(at::kFloat));
  }
  at::Tensor probabilities(const at::Tensor& embeddings) const { return at::softmax(logits(embeddings), -1); }

  static kernels::Routing rows_of(const kernels::Routing& routing, const at::Tensor& rows) {
    return {routing.probabilities.index_select(0, rows), routing.experts.index_select(0, rows),
            routing.gate_weights.index_select(0, rows)};
  }

  // Images at the same timestep, mostly all of them, share one matrix. It is folded anew in each forward:
  // that costs k D^2 of the T D^2 operations of using it, and a matrix for each of 1000 timesteps would not
  // fit.
  // key: equal for images that share one; routing_of(image) -> {routing, its row}.
  template <class RoutingOf>
  at::Tensor folded_mask(const at::Tensor& x, const std::vector<int64_t>& key, RoutingOf routing_of) const {
    std::map<int64_t, std::vector<int64_t>> images_at;
    for (size_t n = 0; n < key.size(); ++n) images_at[key[n]].push_back(static_cast<int64_t>(n));
    auto m = at::empty_like(x);
    for (const auto& [shared, images] : images_at) {
      const auto [routing, row] = routing_of(images.front());
      const auto folded =
          kernels::fold_experts(routing->experts[row], routing->gate_weights[row], weight_, bias_);
      if (images_at.size() == 1) return folded(x);
      const auto rows = at::tensor(images).to(x.device(), at::kLong, /*non_blocking=*/true);
      m.index_copy_(0, rows, folded(x.index_select(0, rows)));
    }
    return m;
  }

  int64_t experts_per_timestep_;
  Linear gate_;             // [E, D]
  at::Tensor weight_;       // [E, D, D], (in, out)
  at::Tensor bias_;         // [E, D]
  kernels::Routing table_;  // of every timestep; defined after pack()
};

}  // namespace

at::Tensor prior_windows(const ModelConfig& c) {
  constexpr double kAlpha = 4.0;
  return task_windows(c.num_timesteps, c.depth * c.timestep_experts, c.depth * c.experts_per_timestep,
                      kAlpha);
}

void validate_timestep_experts(const ModelConfig& c) {
  require_size("timestep_experts", c.timestep_experts, 1, 1024);
  require_size("experts_per_timestep", c.experts_per_timestep, 1, 1024);
  require(c.experts_per_timestep <= c.timestep_experts,
          "experts_per_timestep " + std::to_string(c.experts_per_timestep) +
              " must be at most timestep_experts " + std::to_string(c.timestep_experts));
}

ParameterCount count_timestep_experts(const ModelConfig& c, int64_t) {
  const int64_t gate = c.timestep_experts * (c.hidden_size + 1);
  const int64_t expert = c.hidden_size * c.hidden_size + c.hidden_size;
  return {gate + c.timestep_experts * expert, gate + c.experts_per_timestep * expert};
}

// The prior, the list of timesteps, and the mapping of each block.
int64_t derived_timestep_experts(const ModelConfig& c) {
  return c.num_timesteps * (c.hidden_size + c.depth * c.timestep_experts);
}

std::unique_ptr<BlockRouter> make_timestep_experts(const ModelConfig& config, int64_t,
                                                   const at::TensorOptions& options) {
  return std::make_unique<TimestepExperts>(config, options);
}

}  // namespace switchyard::dit

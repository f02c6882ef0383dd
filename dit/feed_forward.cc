// The dense feed-forward of DiT, and the table of all.
#include <ATen/ATen.h>

#include <array>

#include "dit/moe_feed_forward.h"
#include "dit/parts.h"

namespace switchyard::dit {
namespace {

// fc2(gelu(fc1(x))), with the tanh form of GELU (Peebles and Xie 2023).
class Mlp : public FeedForward {
 public:
  Mlp(const ModelConfig& c, const at::TensorOptions& options)
      : fc1_(c.mlp_hidden, c.hidden_size, options), fc2_(c.hidden_size, c.mlp_hidden, options) {}

  at::Tensor operator()(const at::Tensor& x, int64_t, const RoutingControl&,
                        const RoutingTape&) const override {
    return fc2_(fc1_.packed.defined() ? fc1_.packed.gelu(x) : at::gelu(fc1_(x), "tanh"));
  }

  void pack(kernels::Packing packing) override {
    fc1_.pack(packing);
    fc2_.pack(packing);
  }

  void initialize(const at::Generator& generator) override {
    for (auto* layer : {&fc1_, &fc2_}) {
      initialize_with(layer->weight, [&](at::Tensor& w) { xavier_uniform(w, generator); });
      layer->bias.zero_();
    }
  }

  std::vector<Parameter> parameters(const std::string& prefix) override {
    return {{prefix + "mlp.fc1.weight", &fc1_.weight},
            {prefix + "mlp.fc1.bias", &fc1_.bias},
            {prefix + "mlp.fc2.weight", &fc2_.weight},
            {prefix + "mlp.fc2.bias", &fc2_.bias}};
  }

 private:
  Linear fc1_, fc2_;
};

void validate_mlp(const ModelConfig& c) {
  require_size("mlp_hidden", c.mlp_hidden, 1, 131072);
  for (const auto& [field, value] : {std::pair{"num_experts", c.num_experts},
                                     {"experts_per_token", c.experts_per_token},
                                     {"expert_hidden", c.expert_hidden},
                                     {"shared_hidden", c.shared_hidden}})
    require(value == 0,
            std::string(field) + " must be 0 with feed_forward \"mlp\", got " + std::to_string(value));
  require(c.block_experts.empty() && c.block_expert_hidden.empty(),
          "block_experts and block_expert_hidden must be empty with feed_forward \"mlp\"");
  require(c.token_router == ModelConfig().token_router,
          "token_router must be left out with feed_forward \"mlp\", got \"" + c.token_router + "\"");
}

ParameterCount count_mlp(const ModelConfig& c, int64_t) {
  const int64_t n = 2 * c.hidden_size * c.mlp_hidden + c.mlp_hidden + c.hidden_size;
  return {n, n};
}

constexpr std::array kFeedForwards = {
    PartKind<FeedForward>{"mlp", "", validate_mlp, count_mlp,
                          [](const ModelConfig& c, int64_t, const at::TensorOptions& options) {
                            return std::unique_ptr<FeedForward>(new Mlp(c, options));
                          }},
    PartKind<FeedForward>{.name = "moe",
                          .family = "moe",
                          .validate = validate_moe,
                          .count = count_moe,
                          .make = make_moe,
                          .routes_tokens = true},
};

}  // namespace

std::span<const PartKind<FeedForward>> feed_forwards() { return kFeedForwards; }

}  // namespace switchyard::dit

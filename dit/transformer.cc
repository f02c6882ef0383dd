#include "dit/transformer.h"

#include <ATen/ATen.h>

#include "dit/embedding.h"
#include "kernels/attention.h"
#include "kernels/modulate.h"

namespace switchyard::dit {
namespace {

// The q/k norms of the official code have the blocks' eps, not torch.nn.LayerNorm's default of 1e-5: the
// reference gradients tell (3e-7 off with this, 2e-5 with that).
constexpr double kQkNormEps = kernels::kLayerNormEps;

at::Tensor apply(const Linear& layer, const at::Tensor& x) {
  return layer.packed.defined() ? layer.packed(x) : kernels::linear_reference(x, layer.weight, layer.bias);
}

}  // namespace

DiffusionTransformer::DiffusionTransformer(ModelConfig config, at::TensorOptions options)
    : config_(std::move(config)) {
  config_.validate();
  const auto& c = config_;
  const int64_t d = c.hidden_size, patch = c.patch_size * c.patch_size;
  const auto tensor = [&](at::IntArrayRef shape) { return at::empty(shape, options); };
  const auto linear = [&](int64_t out, int64_t in) { return Linear{tensor({out, in}), tensor({out}), {}}; };

  pos_embed_ = position_embedding(d, c.input_size / c.patch_size).to(options.device());
  x_embedder_ = {tensor({d, c.in_channels, c.patch_size, c.patch_size}), tensor({d}), {}};
  t_mlp_in_ = linear(d, kTimestepFrequencies);
  t_mlp_out_ = linear(d, d);
  label_table_ = tensor({c.num_classes + 1, d});
  blocks_.resize(c.depth);
  for (auto& block : blocks_) {
    block.adaln = linear(6 * d, d);
    block.attention.qkv = linear(3 * d, d);
    block.attention.proj = linear(d, d);
    if (c.qk_norm) {
      auto& a = block.attention;
      for (auto* norm : {&a.q_norm_weight, &a.q_norm_bias, &a.k_norm_weight, &a.k_norm_bias})
        *norm = tensor({c.head_size()});
    }
    auto& moe = block.feed_forward;
    moe.gate.weight = tensor({c.num_experts, d});
    moe.gate_up = tensor({c.num_experts, 2 * c.expert_hidden, d});
    moe.down = tensor({c.num_experts, d, c.expert_hidden});
    moe.shared_gate_up = tensor({2 * c.shared_hidden, d});
    moe.shared_down = tensor({d, c.shared_hidden});
  }
  final_adaln_ = linear(2 * d, d);
  final_linear_ = linear(patch * c.out_channels(), d);
}

at::Tensor DiffusionTransformer::forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                                         const RoutingObserver& observe) const {
  const auto& c = config_;
  TORCH_CHECK(
      x.dim() == 4 && x.size(1) == c.in_channels && x.size(2) == c.input_size && x.size(3) == c.input_size,
      "forward: expected x [N, ", c.in_channels, ", ", c.input_size, ", ", c.input_size, "], got ",
      x.sizes());
  const auto dtype = label_table_.scalar_type();

  const auto patches = patchify(x.to(dtype), c.patch_size);  // [N, T, C p p]
  auto tokens = x_embedder_.packed.defined()
                    ? x_embedder_.packed(patches)
                    : kernels::linear_reference(patches, x_embedder_.weight.flatten(1), x_embedder_.bias);
  tokens = tokens + pos_embed_.to(dtype);  // [N, T, D]

  const auto time =
      apply(t_mlp_out_, at::silu(apply(t_mlp_in_, timestep_embedding(t * c.time_scale).to(dtype))));
  const auto condition = at::silu(time + at::embedding(label_table_, y));  // [N, D]

  for (int64_t layer = 0; layer < c.depth; ++layer) {
    const auto& block = blocks_[layer];
    const auto m = apply(block.adaln, condition).chunk(6, 1);  // 6 x [N, D]
    tokens = kernels::gated_residual(
        tokens, m[2], attend(block.attention, kernels::modulated_layer_norm(tokens, m[0], m[1])));
    tokens = kernels::gated_residual(
        tokens, m[5],
        feed_forward(block.feed_forward, kernels::modulated_layer_norm(tokens, m[3], m[4]), layer, observe));
  }

  const auto m = apply(final_adaln_, condition).chunk(2, 1);
  const auto out = apply(final_linear_, kernels::modulated_layer_norm(tokens, m[0], m[1]));  // [N, T, p p C]
  return unpatchify(out.to(at::kFloat), c.patch_size, c.out_channels());
}

at::Tensor DiffusionTransformer::attend(const Attention& attention, const at::Tensor& x) const {
  const int64_t n = x.size(0), tokens = x.size(1);
  const auto qkv =
      apply(attention.qkv, x).view({n, tokens, 3, config_.num_heads, -1}).permute({2, 0, 3, 1, 4});
  auto q = qkv[0], k = qkv[1];  // [N, heads, T, d]
  if (config_.qk_norm) {
    q = at::layer_norm(q, {q.size(-1)}, attention.q_norm_weight, attention.q_norm_bias, kQkNormEps);
    k = at::layer_norm(k, {k.size(-1)}, attention.k_norm_weight, attention.k_norm_bias, kQkNormEps);
  }
  return apply(attention.proj, kernels::attention(q, k, qkv[2]));
}

at::Tensor DiffusionTransformer::feed_forward(const MoeFeedForward& moe, const at::Tensor& x, int64_t layer,
                                              const RoutingObserver& observe) const {
  const auto rows = x.flatten(0, 1);  // [N T, D]
  // The router is discontinuous: it is always evaluated in fp32.
  const auto rows_fp32 = rows.to(at::kFloat);
  const auto logits = moe.gate.packed.defined()
                          ? moe.gate.packed(rows_fp32)
                          : kernels::linear_reference(rows_fp32, moe.gate.weight.to(at::kFloat), {});
  const auto routing = kernels::route_top_k(logits, config_.experts_per_token);
  if (observe) observe(layer, routing);

  const bool packed = moe.gate.packed.defined();
  const auto routed =
      packed ? moe.packed(rows, routing) : kernels::routed_experts(rows, routing, moe.gate_up, moe.down);
  const auto shared =
      packed ? moe.packed_shared(rows) : kernels::swiglu(rows, moe.shared_gate_up, moe.shared_down);
  return (routed + shared).view_as(x);
}

void DiffusionTransformer::pack() {
  const auto pack_linear = [](Linear& layer) {
    layer.packed = kernels::PackedLinear(layer.weight.flatten(1), layer.bias);
  };
  for (auto* layer : {&x_embedder_, &t_mlp_in_, &t_mlp_out_, &final_adaln_, &final_linear_})
    pack_linear(*layer);
  for (auto& block : blocks_) {
    for (auto* layer : {&block.adaln, &block.attention.qkv, &block.attention.proj}) pack_linear(*layer);
    auto& moe = block.feed_forward;
    moe.gate.packed = kernels::PackedLinear(moe.gate.weight.to(at::kFloat), {});
    moe.packed = kernels::PackedExperts(moe.gate_up, moe.down);
    moe.packed_shared = kernels::PackedSwiGlu(moe.shared_gate_up, moe.shared_down);
  }
}

std::vector<Parameter> DiffusionTransformer::parameters() {
  std::vector<Parameter> all;
  const auto add = [&](std::string name, at::Tensor& tensor) {
    if (tensor.defined()) all.push_back({std::move(name), &tensor});
  };
  const auto add_linear = [&](const std::string& name, Linear& layer) {
    add(name + ".weight", layer.weight);
    add(name + ".bias", layer.bias);
  };
  add_linear("x_embedder.proj", x_embedder_);
  add_linear("t_embedder.mlp.0", t_mlp_in_);
  add_linear("t_embedder.mlp.2", t_mlp_out_);
  add("y_embedder.embedding_table.weight", label_table_);
  for (int64_t i = 0; i < config_.depth; ++i) {
    auto& block = blocks_[i];
    auto& a = block.attention;
    const auto prefix = "blocks." + std::to_string(i) + ".";
    add_linear(prefix + "adaLN_modulation.1", block.adaln);
    add_linear(prefix + "attn.qkv", a.qkv);
    add_linear(prefix + "attn.proj", a.proj);
    add(prefix + "attn.q_norm.weight", a.q_norm_weight);
    add(prefix + "attn.q_norm.bias", a.q_norm_bias);
    add(prefix + "attn.k_norm.weight", a.k_norm_weight);
    add(prefix + "attn.k_norm.bias", a.k_norm_bias);
    auto& moe = block.feed_forward;
    add(prefix + "moe.gate.weight", moe.gate.weight);
    add(prefix + "moe.experts.gate_up", moe.gate_up);
    add(prefix + "moe.experts.down", moe.down);
    add(prefix + "moe.shared_experts.gate_up", moe.shared_gate_up);
    add(prefix + "moe.shared_experts.down", moe.shared_down);
  }
  add_linear("final_layer.adaLN_modulation.1", final_adaln_);
  add_linear("final_layer.linear", final_linear_);
  return all;
}

std::map<std::string, at::Tensor> DiffusionTransformer::state_dict() {
  std::map<std::string, at::Tensor> state{{"pos_embed", pos_embed_}};
  // The stored form keeps gate over up in one matrix, and a block's experts in one tensor.
  const auto add_gate_up = [&](const std::string& name, const at::Tensor& gate_up) {
    const auto parts = gate_up.detach().chunk(2, 0);
    state[name + ".gate_proj.weight"] = parts[0];
    state[name + ".up_proj.weight"] = parts[1];
  };
  for (const auto& [name, tensor] : parameters()) {
    const auto suffix = name.rfind('.');
    const auto owner = name.substr(0, suffix);
    const auto value = tensor->detach();
    if (name.ends_with("moe.experts.gate_up")) {
      for (int64_t e = 0; e < value.size(0); ++e) add_gate_up(owner + "." + std::to_string(e), value[e]);
    } else if (name.ends_with("moe.experts.down")) {
      for (int64_t e = 0; e < value.size(0); ++e)
        state[owner + "." + std::to_string(e) + ".down_proj.weight"] = value[e];
    } else if (name.ends_with("moe.shared_experts.gate_up")) {
      add_gate_up(owner, value);
    } else if (name.ends_with("moe.shared_experts.down")) {
      state[owner + ".down_proj.weight"] = value;
    } else {
      state[name] = value;
    }
  }
  return state;
}

}  // namespace switchyard::dit

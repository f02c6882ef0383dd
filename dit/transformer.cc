#include "dit/transformer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <sstream>
#include <stdexcept>

#include "dit/embedding.h"
#include "dit/timestep_experts.h"
#include "kernels/activation/activation.h"
#include "kernels/attention/attention.h"
#include "kernels/experts/expert_mask.h"
#include "kernels/modulate/modulate.h"

namespace switchyard::dit {
namespace {

// The q/k norms of the official code have the blocks' eps, not torch.nn.LayerNorm's default of 1e-5: the
// reference gradients tell (3e-7 off with this, 2e-5 with that).
constexpr double kQkNormEps = kernels::kLayerNormEps;

std::string block_prefix(int64_t layer) { return "blocks." + std::to_string(layer) + "."; }
std::string router_prefix(int64_t layer) { return "routers." + std::to_string(layer) + "."; }

// t [N] as indices 0 .. count - 1, on the host: it is read there, which on a GPU would mean to wait for it.
std::vector<int64_t> integer_timesteps(const at::Tensor& t, const ModelConfig& config) {
  const auto given = t.to(at::kCPU, at::kDouble).contiguous();
  std::vector<int64_t> values;
  for (int64_t n = 0; n < given.numel(); ++n) {
    const double value = given.const_data_ptr<double>()[n];
    if (value >= 0 && value < static_cast<double>(config.num_timesteps) && value == std::floor(value)) {
      values.push_back(static_cast<int64_t>(value));
      continue;
    }
    std::ostringstream text;
    text << "forward: a " << config.family << " model takes integer timesteps 0 .. "
         << config.num_timesteps - 1 << ", got t[" << n << "] = " << value;
    throw std::invalid_argument(text.str());
  }
  return values;
}

}  // namespace

DiffusionTransformer::DiffusionTransformer(ModelConfig config, at::TensorOptions options)
    : config_(std::move(config)) {
  config_.validate();
  const auto& c = config_;
  const int64_t d = c.hidden_size, patch = c.patch_size * c.patch_size;
  const auto tensor = [&](at::IntArrayRef shape) { return at::empty(shape, options); };
  const auto linear = [&](int64_t out, int64_t in) { return Linear(out, in, options); };

  pos_embed_ = position_embedding(d, c.input_size / c.patch_size).to(options.device());
  x_embedder_.weight = tensor({d, c.in_channels, c.patch_size, c.patch_size});
  x_embedder_.bias = tensor({d});
  t_mlp_in_ = linear(d, kTimestepFrequencies);
  t_mlp_out_ = linear(d, d);
  label_table_ = tensor({c.num_classes + 1, d});
  const auto make_feed_forward = find_part(feed_forwards(), c.feed_forward)->make;
  const auto make_router = find_part(block_routers(), c.block_router)->make;
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
    block.feed_forward = make_feed_forward(c, options);
    block.router = make_router(c, options);
  }
  final_adaln_ = linear(2 * d, d);
  final_linear_ = linear(patch * c.out_channels(), d);
}

at::Tensor DiffusionTransformer::embed_timesteps(const at::Tensor& t, at::ScalarType dtype) const {
  return t_mlp_out_(kernels::silu(t_mlp_in_(timestep_embedding(t * config_.time_scale).to(dtype))));
}

Condition Condition::narrow(int64_t first, int64_t count) const {
  const auto part = [&](const at::Tensor& all) { return all.defined() ? all.narrow(0, first, count) : all; };
  Condition result{{{}, part(time.index), part(time.embedding)}, {}, part(last)};
  if (!time.values.empty())
    result.time.values.assign(time.values.begin() + first, time.values.begin() + first + count);
  for (const auto& block : blocks) result.blocks.push_back(part(block));
  return result;
}

Condition Condition::select(const std::vector<int64_t>& rows) const {
  const auto index = at::tensor(rows, at::kLong).to(last.device());
  const auto chosen = [&](const at::Tensor& all) { return all.defined() ? all.index_select(0, index) : all; };
  Condition result{{{}, chosen(time.index), chosen(time.embedding)}, {}, chosen(last)};
  if (!time.values.empty())
    for (const int64_t row : rows) result.time.values.push_back(time.values[row]);
  for (const auto& block : blocks) result.blocks.push_back(chosen(block));
  return result;
}

Condition DiffusionTransformer::condition(const at::Tensor& t, const at::Tensor& y) const {
  TORCH_CHECK(t.dim() == 1 && y.dim() == 1 && t.size(0) == y.size(0),
              "condition: expected t [N] and y [N], got ", t.sizes(), " and ", y.sizes());
  Condition result;
  auto& time = result.time;
  const auto t_here = t.to(device(), t.scalar_type(), /*non_blocking=*/t.is_cpu());
  if (config_.integer_timesteps()) {
    time.values = integer_timesteps(t, config_);
    time.index = t_here.to(at::kLong);
  }
  time.embedding = embed_timesteps(t_here, label_table_.scalar_type());              // [N, D]
  const auto pair = kernels::silu(time.embedding + at::embedding(label_table_, y));  // [N, D]
  for (const auto& block : blocks_) result.blocks.push_back(block.adaln(pair));
  result.last = final_adaln_(pair);
  return result;
}

at::Tensor DiffusionTransformer::forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                                         const RoutingObserver& observe) const {
  return forward(x, condition(t, y), observe);
}

at::Tensor DiffusionTransformer::forward(const at::Tensor& x, const Condition& condition,
                                         const RoutingObserver& observe) const {
  const auto& c = config_;
  TORCH_CHECK(
      x.dim() == 4 && x.size(1) == c.in_channels && x.size(2) == c.input_size && x.size(3) == c.input_size,
      "forward: expected x [N, ", c.in_channels, ", ", c.input_size, ", ", c.input_size, "], got ",
      x.sizes());
  TORCH_CHECK(x.size(0) == condition.size(), "forward: ", x.size(0), " images, but times and classes of ",
              condition.size());
  const auto dtype = label_table_.scalar_type();

  auto tokens = x_embedder_(patchify(x.to(dtype), c.patch_size)) + pos_embed_.to(dtype);  // [N, T, D]
  for (int64_t layer = 0; layer < c.depth; ++layer) {
    const auto& block = blocks_[layer];
    const auto& modulation = condition.blocks[layer];
    if (block.router == nullptr) {
      tokens = run_block(block, tokens, modulation, layer, observe);
    } else {
      const auto [through, around] =
          kernels::split_by_mask(tokens, block.router->mask(tokens, condition.time, layer, observe));
      tokens = run_block(block, through, modulation, layer, observe) + around;
    }
  }

  const auto m = condition.last.chunk(2, 1);
  const auto out = final_linear_(kernels::modulated_layer_norm(tokens, m[0], m[1]));  // [N, T, p p C]
  return unpatchify(out.to(at::kFloat), c.patch_size, c.out_channels());
}

at::Tensor DiffusionTransformer::run_block(const Block& block, const at::Tensor& x,
                                           const at::Tensor& modulation, int64_t layer,
                                           const RoutingObserver& observe) const {
  const auto m = modulation.chunk(6, 1);  // 6 x [N, D]
  const auto y =
      kernels::gated_residual(x, m[2], attend(block.attention, kernels::modulated_layer_norm(x, m[0], m[1])));
  return kernels::gated_residual(
      y, m[5], (*block.feed_forward)(kernels::modulated_layer_norm(y, m[3], m[4]), layer, observe));
}

at::Tensor DiffusionTransformer::attend(const Attention& attention, const at::Tensor& x) const {
  const int64_t n = x.size(0), tokens = x.size(1);
  const auto rows = attention.qkv(x).view({n, tokens, 3, config_.num_heads, -1});
  const auto qkv = rows.permute({2, 0, 3, 1, 4}).unbind();  // not by index: three gradients to be summed
  auto q = qkv[0], k = qkv[1];                              // [N, heads, T, d]
  if (config_.qk_norm) {
    q = at::layer_norm(q, {q.size(-1)}, attention.q_norm_weight, attention.q_norm_bias, kQkNormEps);
    k = at::layer_norm(k, {k.size(-1)}, attention.k_norm_weight, attention.k_norm_bias, kQkNormEps);
  }
  return attention.proj(kernels::attention(q, k, qkv[2]));
}

std::vector<kernels::Routing> DiffusionTransformer::timestep_routing() const {
  if (!config_.routes_timesteps()) return {};
  const auto all = at::arange(config_.num_timesteps, label_table_.options().dtype(at::kLong));
  const auto embeddings = embed_timesteps(all, label_table_.scalar_type());
  std::vector<kernels::Routing> layers;
  for (const auto& block : blocks_) layers.push_back(*block.router->route(embeddings));
  return layers;
}

void DiffusionTransformer::pack(kernels::Products products, Weights plain) {
  if (products == kernels::Products::int8 && !(device().is_cpu() && kernels::has_int8_products())) {
    throw std::invalid_argument(
        "int8 products need a CPU with AVX512-VNNI and AVX512-BF16, and a model that is on it");
  }
  const auto done_with = [&](at::Tensor& weight) {
    if (plain == Weights::drop) weight = at::empty_like(weight, at::kMeta);
  };
  const auto pack_linear = [&](Linear& layer, kernels::Products of_layer = kernels::Products::in_dtype) {
    layer.pack(of_layer);
    done_with(layer.weight);
  };
  products_ = products;
  for (auto* layer : {&x_embedder_, &t_mlp_in_, &t_mlp_out_, &final_adaln_, &final_linear_})
    pack_linear(*layer);
  const at::NoGradGuard no_grad;
  at::Tensor embeddings;
  if (config_.integer_timesteps()) {
    const auto all = at::arange(config_.num_timesteps, label_table_.options().dtype(at::kLong));
    embeddings = embed_timesteps(all, label_table_.scalar_type());
  }
  for (auto& block : blocks_) {
    pack_linear(block.adaln);
    for (auto* layer : {&block.attention.qkv, &block.attention.proj}) pack_linear(*layer, products);
    block.feed_forward->pack(products);
    for (const auto& parameter : block.feed_forward->parameters("")) done_with(*parameter.tensor);
    if (block.router) block.router->pack(embeddings);
  }
}

// Visits, in a fixed order, the tensors of this class by name and the parts by prefix.
template <class OnTensor, class OnPart>
void DiffusionTransformer::visit(OnTensor on_tensor, OnPart on_part) {
  const auto on_linear = [&](const std::string& name, Linear& layer) {
    on_tensor(name + ".weight", layer.weight);
    on_tensor(name + ".bias", layer.bias);
  };
  on_linear("x_embedder.proj", x_embedder_);
  on_linear("t_embedder.mlp.0", t_mlp_in_);
  on_linear("t_embedder.mlp.2", t_mlp_out_);
  on_tensor("y_embedder.embedding_table.weight", label_table_);
  for (int64_t i = 0; i < config_.depth; ++i) {
    auto& block = blocks_[i];
    auto& a = block.attention;
    const auto prefix = block_prefix(i);
    on_linear(prefix + "adaLN_modulation.1", block.adaln);
    on_linear(prefix + "attn.qkv", a.qkv);
    on_linear(prefix + "attn.proj", a.proj);
    if (config_.qk_norm) {
      on_tensor(prefix + "attn.q_norm.weight", a.q_norm_weight);
      on_tensor(prefix + "attn.q_norm.bias", a.q_norm_bias);
      on_tensor(prefix + "attn.k_norm.weight", a.k_norm_weight);
      on_tensor(prefix + "attn.k_norm.bias", a.k_norm_bias);
    }
    on_part(prefix, *block.feed_forward);
    if (block.router) on_part(router_prefix(i), *block.router);
  }
  on_linear("final_layer.adaLN_modulation.1", final_adaln_);
  on_linear("final_layer.linear", final_linear_);
}

std::vector<Parameter> DiffusionTransformer::parameters() {
  std::vector<Parameter> all;
  visit(
      [&](std::string name, at::Tensor& tensor) {
        all.push_back({std::move(name), &tensor});
      },
      [&](const std::string& prefix, Part& part) {
        for (auto& parameter : part.parameters(prefix)) all.push_back(std::move(parameter));
      });
  return all;
}

StateDict DiffusionTransformer::state_dict() {
  StateDict state{{"pos_embed", pos_embed_}};
  visit([&](const std::string& name, at::Tensor& tensor) { state[name] = tensor.detach(); },
        [&](const std::string& prefix, Part& part) { part.add_state(prefix, state); });
  return state;
}

StateDict DiffusionTransformer::derived_state() const {
  StateDict state;
  for (int64_t i = 0; i < config_.depth; ++i) {
    if (blocks_[i].router) blocks_[i].router->add_derived_state(router_prefix(i), state);
  }
  if (config_.routes_timesteps()) {
    state["full_time"] = at::arange(config_.num_timesteps, at::kLong);
    state["prior._unit_mapping"] = prior_windows(config_);
  }
  return state;
}

}  // namespace switchyard::dit

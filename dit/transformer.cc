#include "dit/transformer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>
#include <sstream>
#include <stdexcept>

#include "dit/embedding.h"
#include "kernels/activation/activation.h"
#include "kernels/attention/attention.h"
#include "kernels/experts/expert_mask.h"
#include "kernels/modulate/modulate.h"

namespace switchyard::dit {
namespace {

// The q/k norms of the official code have the blocks' eps, not torch.nn.LayerNorm's default of 1e-5: the
// reference gradients tell (3e-7 off with this, 2e-5 with that).
constexpr double kQkNormEps = kernels::kLayerNormEps;

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

// From what a network answers that is told 1 - t to config.prediction. On gvp, dx/d(1 - t) is -pi/2 times v.
double factor_toward_image(const ModelConfig& config) {
  return config.prediction == "velocity" ? -1 : config.prediction == "v" ? -2 / std::numbers::pi : 1;
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
  embedders_.resize(c.block_embedders ? c.depth : 1);
  for (auto& embedder : embedders_)
    embedder = {linear(d, kTimestepFrequencies), linear(d, d), tensor({c.labels(), d})};
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
    const auto layer = static_cast<int64_t>(&block - blocks_.data());
    block.feed_forward = make_feed_forward(c, layer, options);
    block.router = make_router(c, layer, options);
  }
  final_adaln_ = linear(2 * d, d);
  final_linear_ = linear(patch * c.out_channels(), d);
}

at::Tensor DiffusionTransformer::embed_timesteps(const Embedder& embedder, const at::Tensor& t) const {
  const auto told = config_.toward_image ? 1 - t : t;
  const auto waves = timestep_embedding(told * config_.time_scale, config_.frequency_shift).to(dtype());
  return embedder.t_out(kernels::silu(embedder.t_in(waves)));
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
  const auto pair_of = [&](const Embedder& embedder, const at::Tensor& embedded) {
    return kernels::silu(embedded + at::embedding(embedder.labels, y));  // [N, D]
  };
  time.embedding = embed_timesteps(embedders_[0], t_here);  // [N, D]
  const auto first = pair_of(embedders_[0], time.embedding);
  auto pair = first;
  for (size_t layer = 0; layer < blocks_.size(); ++layer) {
    if (layer > 0 && config_.block_embedders)
      pair = pair_of(embedders_[layer], embed_timesteps(embedders_[layer], t_here));
    result.blocks.push_back(blocks_[layer].adaln(pair));
  }
  result.last = final_adaln_(first);
  return result;
}

at::Tensor DiffusionTransformer::forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                                         const RoutingControl& control, const RoutingTape& tape,
                                         const Stop& stop) const {
  return forward(x, condition(t, y), control, tape, stop);
}

at::Tensor DiffusionTransformer::forward(const at::Tensor& x, const Condition& condition,
                                         const RoutingControl& control, const RoutingTape& tape,
                                         const Stop& stop) const {
  auto tokens = embed(x, condition);
  for (int64_t layer = 0; layer < config_.depth; ++layer) {
    if (stop && stop()) throw Stopped();
    tokens = run_block(tokens, condition, layer, control, tape);
  }
  return output(tokens, condition);
}

std::vector<std::optional<int64_t>> DiffusionTransformer::first_not_finite(const at::Tensor& x,
                                                                           const Condition& condition,
                                                                           const RoutingControl& control) const {
  std::vector<std::optional<int64_t>> first(x.size(0));
  const auto look = [&](const at::Tensor& numbers, int64_t layer) {
    const auto finite = at::isfinite(numbers).flatten(1).all(1).cpu();
    for (size_t n = 0; n < first.size(); ++n) {
      if (!first[n] && !finite.const_data_ptr<bool>()[n]) first[n] = layer;
    }
  };
  auto tokens = embed(x, condition);
  look(tokens, -1);
  for (int64_t layer = 0; layer < config_.depth; ++layer) {
    tokens = run_block(tokens, condition, layer, control, {});
    look(tokens, layer);
  }
  look(output(tokens, condition), config_.depth);
  return first;
}

at::Tensor DiffusionTransformer::embed(const at::Tensor& x, const Condition& condition) const {
  const auto& c = config_;
  TORCH_CHECK(
      x.dim() == 4 && x.size(1) == c.in_channels && x.size(2) == c.input_size && x.size(3) == c.input_size,
      "forward: expected x [N, ", c.in_channels, ", ", c.input_size, ", ", c.input_size, "], got ",
      x.sizes());
  TORCH_CHECK(x.size(0) == condition.size(), "forward: ", x.size(0), " images, but times and classes of ",
              condition.size());
  const auto dtype = this->dtype();
  return x_embedder_(patchify(x.to(dtype), c.patch_size)) + pos_embed_.to(dtype);  // [N, T, D]
}

at::Tensor DiffusionTransformer::run_block(const at::Tensor& x, const Condition& condition, int64_t layer,
                                           const RoutingControl& control, const RoutingTape& tape) const {
  const auto& block = blocks_[layer];
  const auto& modulation = condition.blocks[layer];
  if (block.router == nullptr) return through(block, x, modulation, layer, control, tape);
  const auto [task, around] =
      kernels::split_by_mask(x, block.router->mask(x, condition.time, layer, control, tape));
  return through(block, task, modulation, layer, control, tape) + around;
}

at::Tensor DiffusionTransformer::through(const Block& block, const at::Tensor& x, const at::Tensor& modulation,
                                         int64_t layer, const RoutingControl& control,
                                         const RoutingTape& tape) const {
  const auto m = modulation.chunk(6, 1);  // 6 x [N, D]
  const auto y =
      kernels::gated_residual(x, m[2], attend(block.attention, kernels::modulated_layer_norm(x, m[0], m[1])));
  return kernels::gated_residual(
      y, m[5],
      (*block.feed_forward)(kernels::modulated_layer_norm(y, m[3], m[4], config_.norm_eps), layer, control,
                            tape));
}

at::Tensor DiffusionTransformer::output(const at::Tensor& tokens, const Condition& condition) const {
  const auto m = condition.last.chunk(2, 1);
  const auto out = final_linear_(kernels::modulated_layer_norm(tokens, m[0], m[1]));  // [N, T, p p C]
  const auto answer = unpatchify(out.to(at::kFloat), config_.patch_size, config_.out_channels());
  return config_.toward_image ? answer * factor_toward_image(config_) : answer;
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
  const auto all = at::arange(config_.num_timesteps, embedders_[0].labels.options().dtype(at::kLong));
  const auto embeddings = embed_timesteps(embedders_[0], all);
  std::vector<kernels::Routing> layers;
  for (const auto& block : blocks_) layers.push_back(*block.router->route(embeddings));
  return layers;
}

void DiffusionTransformer::pack(kernels::Packing packing) {
  if (packing.products == kernels::Products::int8 && !(device().is_cpu() && kernels::has_int8_products())) {
    throw std::invalid_argument(
        "int8 products need a CPU with AVX512-VNNI and AVX512-BF16, and a model that is on it");
  }
  if (packing.library == kernels::ProductLibrary::onednn && !device().is_cpu())
    throw std::invalid_argument("oneDNN multiplies on the CPU, the model is on another device");
  packing_ = packing;
  const at::NoGradGuard no_grad;
  at::Tensor embeddings;
  for (auto* layer : {&x_embedder_, &final_adaln_, &final_linear_}) layer->pack({.library = packing.library});
  for (auto& embedder : embedders_)
    for (auto* layer : {&embedder.t_in, &embedder.t_out}) layer->pack({.library = packing.library});
  if (config_.integer_timesteps()) {
    const auto all = at::arange(config_.num_timesteps, embedders_[0].labels.options().dtype(at::kLong));
    embeddings = embed_timesteps(embedders_[0], all);
  }
  for (auto& block : blocks_) {
    block.adaln.pack({.library = packing.library});
    block.attention.qkv.pack(packing);
    block.attention.proj.pack(packing);
    block.feed_forward->pack(packing);
    if (block.router) block.router->pack(embeddings);
  }
}

}  // namespace switchyard::dit

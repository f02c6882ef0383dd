// What a transformer holds, by name: parameters, state dicts, and how they begin.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <stdexcept>

#include "dit/timestep_experts.h"
#include "dit/transformer.h"

namespace switchyard::dit {
namespace {

std::string block_prefix(int64_t layer) { return "blocks." + std::to_string(layer) + "."; }
std::string router_prefix(int64_t layer) { return "routers." + std::to_string(layer) + "."; }

// The tensors of the transformer itself; its parts know their own.
void initialize_tensor(const std::string& name, at::Tensor& tensor, const at::Generator& generator) {
  const auto begins = [&](const char* text) { return name.starts_with(text); };
  const auto holds = [&](const char* text) { return name.find(text) != std::string::npos; };
  if (holds("adaLN_modulation") || begins("final_layer.linear") || (name.ends_with(".bias") && !holds("_norm"))) {
    tensor.zero_();
  } else if (name.ends_with("_norm.weight")) {
    tensor.fill_(1.0);
  } else if (name.ends_with("_norm.bias")) {
    tensor.zero_();
  } else if (holds("t_embedder") || holds("y_embedder")) {
    initialize_with(tensor, [&](at::Tensor& value) { value.normal_(0.0, 0.02, generator); });
  } else if (begins("x_embedder") || holds(".attn.qkv.") || holds(".attn.proj.")) {
    initialize_with(tensor, [&](at::Tensor& value) { xavier_uniform(value, generator); });
  } else {
    throw std::logic_error("initialize: nothing says how \"" + name + "\" begins");
  }
}

}  // namespace

// Visits, in a fixed order, the tensors of this class by name and the parts by prefix.
template <class OnTensor, class OnPart>
void DiffusionTransformer::visit(OnTensor on_tensor, OnPart on_part) {
  const auto on_linear = [&](const std::string& name, Linear& layer) {
    on_tensor(name + ".weight", layer.weight);
    on_tensor(name + ".bias", layer.bias);
  };
  on_linear("x_embedder.proj", x_embedder_);
  const auto on_embedder = [&](const std::string& prefix, Embedder& embedder) {
    on_linear(prefix + "t_embedder.mlp.0", embedder.t_in);
    on_linear(prefix + "t_embedder.mlp.2", embedder.t_out);
    on_tensor(prefix + "y_embedder.embedding_table.weight", embedder.labels);
  };
  if (!config_.block_embedders) on_embedder("", embedders_[0]);
  for (int64_t i = 0; i < config_.depth; ++i) {
    auto& block = blocks_[i];
    auto& a = block.attention;
    const auto prefix = block_prefix(i);
    if (config_.block_embedders) on_embedder(prefix, embedders_[i]);
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

std::vector<Parameter> DiffusionTransformer::buffers() {
  std::vector<Parameter> all;
  visit([](const std::string&, at::Tensor&) {},
        [&](const std::string& prefix, Part& part) {
          for (auto& buffer : part.buffers(prefix)) all.push_back(std::move(buffer));
        });
  return all;
}

void DiffusionTransformer::balance(const std::vector<at::Tensor>& choices) {
  for (size_t layer = 0; layer < choices.size(); ++layer) blocks_.at(layer).feed_forward->balance(choices[layer]);
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

void initialize(DiffusionTransformer& model, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const auto generator = at::detail::createCPUGenerator(seed);
  model.visit([&](const std::string& name, at::Tensor& tensor) { initialize_tensor(name, tensor, generator); },
              [&](const std::string&, Part& part) { part.initialize(generator); });
}

}  // namespace switchyard::dit

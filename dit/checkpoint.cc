#include "dit/checkpoint.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <set>
#include <utility>

#include "io/error.h"
#include "io/tensor_problems.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

std::string replaced(std::string name, std::string_view from, std::string_view to) {
  const auto at = name.find(from);
  return at == std::string::npos ? name : name.replace(at, from.size(), to);
}

// flash_attn's key style -> timm's, which is ours.
std::string canonical_name(const std::string& name) {
  return replaced(replaced(name, ".attn.Wqkv.", ".attn.qkv."), ".attn.out_proj.", ".attn.proj.");
}

}  // namespace

void load_state(DiffusionTransformer& model, const std::map<std::string, at::Tensor>& tensors,
                const std::string& source) {
  const at::NoGradGuard no_grad;
  std::vector<std::string> problems;
  auto state = model.state_dict();
  const auto derived = model.derived_state();
  std::map<std::string, at::Tensor> given;
  for (const auto& [name, tensor] : tensors) {
    if (!given.emplace(canonical_name(name), tensor).second)
      problems.push_back(io::quote(name) + " comes in both key styles");
  }
  const auto take = [&](const std::string& name, const at::Tensor& target) {
    const auto found = given.find(name);
    if (found == given.end()) {
      problems.push_back(name + " is missing");
    } else if (found->second.sizes() != target.sizes()) {
      problems.push_back(name + " has shape " + io::shape_text(found->second.sizes()) + ", expected " +
                         io::shape_text(target.sizes()));
    } else if (!found->second.is_floating_point()) {
      problems.push_back(name + " holds " + toString(found->second.scalar_type()) +
                         ", expected a float type");
    } else {
      target.copy_(found->second);
    }
  };
  std::set<std::string> thirds;  // of matrices that diffusers has apart
  for (auto& [name, target] : state) {
    const auto third = [&](const char* part) { return replaced(name, ".attn.qkv.", part); };
    if (given.contains(name) || !given.contains(third(".attn.q."))) {
      take(name, target);
      continue;
    }
    const auto parts = target.chunk(3);
    for (const auto& [part, where] : {std::pair{".attn.q.", 0}, {".attn.k.", 1}, {".attn.v.", 2}}) {
      take(third(part), parts[where]);
      thirds.insert(third(part));
    }
  }
  for (const auto& [name, tensor] : given) {
    if (state.contains(name) || thirds.contains(name)) continue;
    const auto fixed = derived.find(name);
    if (fixed == derived.end()) {
      problems.push_back(io::quote(name) + " is not part of this model");
    } else if (fixed->second.sizes() != tensor.sizes() ||
               (!fixed->second.is_meta() &&
                !at::equal(fixed->second.to(at::kCPU, at::kFloat), tensor.to(at::kCPU, at::kFloat)))) {
      problems.push_back(name + " is not what the configuration gives");
    }
  }
  if (!problems.empty()) io::refuse_tensors(source, "the model's", problems);
}

void require_numbers_for(const ModelConfig& config, const std::map<std::string, at::Tensor>& tensors,
                         const std::string& source) {
  int64_t elements = 0;
  for (const auto& [name, tensor] : tensors) elements += tensor.numel();
  int64_t expected = count_parameters(config).total + config.tokens() * config.hidden_size;  // with pos_embed
  const auto* router = find_part(block_routers(), config.block_router);
  if (router != nullptr && router->derived != nullptr) expected += router->derived(config);
  constexpr int64_t kSlack = 1 << 24;  // a few masks of a small model
  if (expected > 2 * elements + kSlack) {
    throw io::InputError(source + ": its configuration asks for " + std::to_string(expected) +
                         " numbers, the file holds " + std::to_string(elements));
  }
}

}  // namespace switchyard::dit

#include "dit/stored_weights.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>
#include <vector>

#include "io/error.h"
#include "io/tensor_problems.h"
#include "io/text.h"

namespace switchyard::dit {
namespace {

using Named = std::vector<std::pair<std::string, at::Tensor>>;  // in the file's order

constexpr std::string_view kFirst = "x_embedder.proj.weight";  // every model has it, once
constexpr std::array<std::string_view, 4> kWrappers = {"module.", "_orig_mod.", "_fsdp_wrapped_module.",
                                                       "_checkpoint_wrapped_module."};
constexpr std::array<std::pair<std::string_view, std::string_view>, 1> kCompanions = {
    {{"projectors", "REPA"}}};
// In state dicts without being parameters that move.
constexpr std::array<std::string_view, 4> kFixed = {"pos_embed", "full_time", "_unit_mapping",
                                                    "e_score_correction_bias"};

// One set of weights that a file holds.
struct Candidate {
  std::string name;
  Named tensors;
  std::vector<at::Tensor> shadow = {};  // instead of tensors: averaged ones without names

  bool averaged() const {
    return name.find("ema") != std::string::npos || name.find("average") != std::string::npos ||
           !shadow.empty();
  }
  bool is(const std::string& wanted) const {
    return name == wanted || name.ends_with("/" + wanted) || (wanted == "ema" && averaged()) ||
           (wanted == "model" && !averaged());
  }
};

std::string without_wrappers(std::string name) {
  for (const auto wrapper : kWrappers) {
    for (size_t at = 0; (at = name.find(wrapper, at)) != std::string::npos;)
      at == 0 || name[at - 1] == '.' ? void(name.erase(at, wrapper.size())) : void(++at);
  }
  return name;
}

std::string joined(const std::string& path, std::string part) {
  if (part.ends_with('.')) part.pop_back();
  return path.empty() || part.empty() ? path + part : path + "/" + part;
}

// The models among tensors: one for each prefix of the name that every model has.
void find_models(const Named& stored, const std::string& path, std::vector<Candidate>& found) {
  Named tensors;
  for (const auto& [name, tensor] : stored) tensors.emplace_back(without_wrappers(name), tensor);
  for (const auto& [name, unused] : tensors) {
    if (!name.ends_with(kFirst)) continue;
    const auto prefix = name.substr(0, name.size() - kFirst.size());
    if (!prefix.empty() && !prefix.ends_with('.')) continue;
    Candidate candidate{joined(path, prefix), {}};
    for (const auto& [other, tensor] : tensors)
      if (other.starts_with(prefix)) candidate.tensors.emplace_back(other.substr(prefix.size()), tensor);
    found.push_back(std::move(candidate));
  }
}

Named tensors_in(const io::TorchValue& value) {
  Named tensors;
  for (const auto& [key, item] : value.items()) {
    if (key.kind == io::TorchValue::Kind::string && item.kind == io::TorchValue::Kind::tensor)
      tensors.emplace_back(key.string(), item.tensor());
  }
  return tensors;
}

// A torch.nn.Module that was saved whole: its parameters and buffers, and those of the modules within.
bool is_module(const io::TorchValue& value) {
  return value.find("_parameters") != nullptr && value.find("_modules") != nullptr;
}

void collect(const io::TorchValue& module, const std::string& prefix, Named& tensors) {
  for (const char* kind : {"_parameters", "_buffers"}) {
    const auto* own = module.find(kind);
    if (own == nullptr || !own->has_items()) continue;
    for (auto& [name, tensor] : tensors_in(*own)) tensors.emplace_back(prefix + name, std::move(tensor));
  }
  const auto* inner = module.find("_modules");
  if (inner == nullptr || !inner->has_items()) return;
  for (const auto& [key, each] : inner->items())
    if (key.kind == io::TorchValue::Kind::string) collect(each, prefix + key.string() + ".", tensors);
}

void find_models(const io::TorchValue& value, const std::string& path, int depth,
                 std::vector<Candidate>& found) {
  constexpr int kDeepest = 4;
  if (!value.has_items() || depth == kDeepest) return;
  if (is_module(value)) {
    Named tensors;
    collect(value, "", tensors);
    return find_models(tensors, path, found);
  }
  find_models(tensors_in(value), path, found);
  if (const auto* shadow = value.find("shadow_params"); shadow != nullptr && shadow->has_elements()) {
    Candidate candidate{path.empty() ? "shadow_params" : path, {}};
    for (const auto& each : shadow->elements())
      if (each.kind == io::TorchValue::Kind::tensor) candidate.shadow.push_back(each.tensor());
    if (!candidate.shadow.empty()) found.push_back(std::move(candidate));
  }
  for (const auto& [key, item] : value.items())
    if (key.kind == io::TorchValue::Kind::string)
      find_models(item, joined(path, key.string()), depth + 1, found);
}

// Puts the averaged values in the places of the parameters that move, in their order.
Named with_shadow(const Candidate& averaged, const Candidate& trained, const std::string& source) {
  Named tensors = trained.tensors;
  size_t next = 0;
  std::string problem;
  for (auto& [name, tensor] : tensors) {
    if (std::ranges::any_of(kFixed, [&](auto part) { return name.find(part) != std::string::npos; }))
      continue;
    if (next < averaged.shadow.size() && averaged.shadow[next].sizes() == tensor.sizes()) {
      tensor = averaged.shadow[next];
    } else if (problem.empty()) {
      problem = name + " has no counterpart of its shape, " + io::shape_text(tensor.sizes());
    }
    ++next;
  }
  if (next != averaged.shadow.size())
    problem = std::to_string(averaged.shadow.size()) + " averaged tensors for " + std::to_string(next) +
              " parameters";
  if (!problem.empty()) {
    throw io::InputError(source + ": the averages under " + io::quote(averaged.name) + " are not those of " +
                         io::quote(trained.name) + ": " + problem + "; --weights model takes the latter");
  }
  return tensors;
}

StoredWeights without_companions(std::string name, Named tensors) {
  StoredWeights weights{std::move(name), {}, {}};
  std::map<std::string, int64_t> left_out;
  for (auto& [tensor_name, tensor] : tensors) {
    const auto companion = std::ranges::find_if(kCompanions, [&](const auto& known) {
      return tensor_name.starts_with(std::string(known.first) + ".");
    });
    if (companion == kCompanions.end())
      weights.tensors[tensor_name] = std::move(tensor);
    else
      ++left_out[std::string(companion->first)];
  }
  for (const auto& [companion, owner] : kCompanions) {
    if (const auto found = left_out.find(std::string(companion)); found != left_out.end())
      weights.companions[found->first] = std::to_string(found->second) + " tensors of " + std::string(owner);
  }
  return weights;
}

StoredWeights chosen(const std::vector<Candidate>& found, const std::optional<std::string>& wanted,
                     const std::string& source) {
  if (wanted && found.size() == 1 && found.front().name.empty()) refuse_choice(*wanted, source);
  auto use =
      std::ranges::find_if(found, [&](const Candidate& c) { return wanted ? c.is(*wanted) : c.averaged(); });
  if (use == found.end() && !wanted) use = found.begin();
  if (use == found.end()) {
    std::string names;
    for (const auto& each : found) names += (names.empty() ? "" : ", ") + io::quote(each.name);
    throw io::InputError(source + ": no weights " + io::quote(*wanted) + " in this file, it holds: " + names);
  }
  if (use->shadow.empty()) return without_companions(use->name, use->tensors);
  const auto trained = std::ranges::find_if(found, [](const Candidate& c) { return c.shadow.empty(); });
  if (trained == found.end())
    throw io::InputError(source + ": averages without names, and no state dict that has them");
  return without_companions(use->name, with_shadow(*use, *trained, source));
}

}  // namespace

void refuse_choice(const std::string& wanted, const std::string& source) {
  throw io::InputError(source + ": holds one set of weights, there is no " + io::quote(wanted) +
                       " to choose");
}

StoredWeights stored_weights(const io::TorchValue& tree, const std::optional<std::string>& wanted,
                             const std::string& source) {
  std::vector<Candidate> found;
  find_models(tree, "", 0, found);
  if (!found.empty()) return chosen(found, wanted, source);
  const auto* inner =
      tree.find("state_dict");  // of something else: what is missing is said by whoever reads it
  auto tensors =
      tree.has_items() ? tensors_in(inner != nullptr && inner->has_items() ? *inner : tree) : Named();
  if (tensors.empty()) {
    throw io::InputError(
        source +
        ": expected a state dict, or a training checkpoint with \"ema\" or \"model\", found no tensors");
  }
  return chosen({{"", std::move(tensors)}}, wanted, source);
}

StoredWeights stored_weights(const std::map<std::string, at::Tensor>& tensors,
                             const std::optional<std::string>& wanted, const std::string& source) {
  Named named(tensors.begin(), tensors.end());
  std::vector<Candidate> found;
  find_models(named, "", found);
  if (found.empty()) found.push_back({"", std::move(named)});
  return chosen(found, wanted, source);
}

}  // namespace switchyard::dit

#include "pipeline/recipe.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "dit/token_router.h"

namespace switchyard::pipeline {
namespace {

using Of = dit::RoutingControl::Of;

bool holds_for(const RoutingEdit& edit, int64_t image) {
  return edit.images.empty() || std::ranges::binary_search(edit.images, image);
}

bool holds_for(const RoutingEdit& edit, bool conditional) {
  return edit.half == RoutingEdit::Half::both || (edit.half == RoutingEdit::Half::conditional) == conditional;
}

std::string list_of(const std::vector<size_t>& edits) {
  std::string text;
  for (const size_t edit : edits) text += (text.empty() ? "" : ", ") + std::to_string(edit);
  return (edits.size() == 1 ? "edit " : "edits ") + text;
}

// The first place [layer, row, token] at which `bad` [layers, rows, tokens] holds, or nothing.
std::optional<std::array<int64_t, 3>> first_of(const at::Tensor& bad) {
  const auto places = bad.nonzero();
  if (places.size(0) == 0) return std::nullopt;
  return std::array{places[0][0].item<int64_t>(), places[0][1].item<int64_t>(), places[0][2].item<int64_t>()};
}

}  // namespace

RoutingRecipe recipe_of_image(const RoutingRecipe& recipe, int64_t image) {
  RoutingRecipe own;
  for (auto edit : recipe) {
    if (!holds_for(edit, image)) continue;
    edit.images.clear();
    own.push_back(std::move(edit));
  }
  return own;
}

CompiledRecipe::CompiledRecipe(RoutingRecipe recipe, const dit::ModelConfig& config, at::Device device)
    : recipe_(std::move(recipe)), config_(config), device_(device) {
  for (auto& edit : recipe_) {
    std::ranges::sort(edit.images);
    by_row_ |= edit.half != RoutingEdit::Half::both || !edit.images.empty();
    by_token_ |= !edit.region.empty();
  }
}

std::vector<size_t> CompiledRecipe::active_at(double noise_fraction) const {
  std::vector<size_t> active;
  for (size_t i = 0; i < recipe_.size(); ++i) {
    if (recipe_[i].t_low <= noise_fraction && noise_fraction <= recipe_[i].t_high) active.push_back(i);
  }
  return active;
}

dit::RoutingControl CompiledRecipe::compile(const std::vector<size_t>& active, int64_t first, int64_t count,
                                            const std::vector<bool>& halves) const {
  const int64_t rows = by_row_ ? count * static_cast<int64_t>(halves.size()) : 1;
  dit::RoutingControl control;
  for (const size_t index : active) {
    const auto& edit = recipe_[index];
    const bool of_tokens = edit.router == Router::tokens;
    auto& of = of_tokens ? control.tokens : control.timesteps;
    if (!of.bias.defined()) {
      const int64_t tokens = of_tokens && by_token_ ? config_.tokens() : 1;
      const int64_t experts = of_tokens ? config_.num_experts : config_.timestep_experts;
      of = {at::zeros({config_.depth, rows, tokens, experts}), at::ones({config_.depth, rows, tokens, experts})};
    }
    at::Tensor patches;
    if (!edit.region.empty()) {
      std::vector<int64_t> inside;
      for (size_t t = 0; t < edit.region.size(); ++t)
        if (edit.region[t]) inside.push_back(static_cast<int64_t>(t));
      patches = at::tensor(inside, at::kLong);
    }
    for (int64_t row = 0; row < rows; ++row) {
      if (by_row_ && !(holds_for(edit, first + row % count) && holds_for(edit, halves[row / count]))) continue;
      for (int64_t layer = 0; layer < config_.depth; ++layer) {
        if (!edit.layers.empty() && !std::ranges::binary_search(edit.layers, layer)) continue;
        for (const int64_t expert : edit.experts) {
          const auto change = [&](const at::Tensor& all, auto how) {  // [tokens]
            auto place = all[layer][row].select(1, expert);
            if (!patches.defined()) return how(place);
            auto part = place.index_select(0, patches);
            how(part);
            place.index_copy_(0, patches, part);
          };
          switch (edit.action) {
            case RoutingEdit::Action::mute:
              change(of.bias, [](at::Tensor& x) { x.fill_(kernels::kMuted); });
              break;
            case RoutingEdit::Action::force:  // twice is no more than once; what is muted stays muted
              change(of.bias, [](at::Tensor& x) { x.copy_(at::where(x == kernels::kMuted, x, kernels::kForced)); });
              break;
            case RoutingEdit::Action::scale:
              change(of.scale, [&](at::Tensor& x) { x.mul_(edit.factor); });
              break;
          }
        }
      }
    }
  }
  return control;
}

void CompiledRecipe::require_possible(const std::vector<size_t>& active,
                                      const dit::RoutingControl& control) const {
  const auto fail = [&](RoutingEdit::Action action, const std::array<int64_t, 3>& place, const std::string& what) {
    std::vector<size_t> edits;
    for (const size_t i : active) {
      const auto& edit = recipe_[i];
      if (edit.action == action && (edit.layers.empty() || std::ranges::binary_search(edit.layers, place[0])))
        edits.push_back(i);
    }
    throw std::invalid_argument("recipe: " + list_of(edits) + ": in layer " + std::to_string(place[0]) + " " + what);
  };
  const auto look = [&](const Of& of, int64_t k, bool ragged, auto experts_of, const char* whom) {
    if (!of.bias.defined()) return;
    auto bias = of.bias.clone();
    for (int64_t layer = 0; layer < config_.depth; ++layer)
      bias[layer].slice(-1, experts_of(layer)).fill_(kernels::kMuted);
    if (const auto place = first_of((bias == kernels::kMuted).all(-1)))
      fail(RoutingEdit::Action::mute, *place, c10::str(whom, " ", (*place)[2], " is left without an expert"));
    const auto forced = bias == kernels::kForced;
    if (!ragged) {
      if (const auto place = first_of(forced.sum(-1) > k))
        fail(RoutingEdit::Action::force, *place, c10::str("more experts are forced than the ", k, " that ", whom, " ",
                                                          (*place)[2], " picks"));
      return;
    }
    const int64_t tokens = config_.tokens();
    const auto taken = forced.sum(2) * (tokens / forced.size(2));  // [layers, rows, experts]
    for (int64_t layer = 0; layer < config_.depth; ++layer) {
      const int64_t experts = experts_of(layer), capacity = (k * tokens + experts - 1) / experts;
      if (taken[layer].max().item<int64_t>() > capacity)
        fail(RoutingEdit::Action::force, {layer, 0, 0},
             c10::str("more tokens are forced on an expert than the ", capacity, " that it takes"));
    }
  };
  const auto* kind = dit::find_part(dit::token_routers(), config_.token_router);
  look(control.tokens, config_.experts_per_token, kind != nullptr && kind->ragged,
       [&](int64_t layer) { return config_.experts_of(layer); }, "token");
  look(control.timesteps, config_.experts_per_timestep, false,
       [&](int64_t) { return config_.timestep_experts; }, "timestep of image");
}

void CompiledRecipe::require_possible(const std::vector<double>& noise_fractions, int64_t images) const {
  if (recipe_.empty()) return;
  std::set<std::vector<size_t>> sets;
  for (const double t : noise_fractions) sets.insert(active_at(t));
  for (const auto& active : sets) {
    for (int64_t image = 0; image < (by_row_ ? images : 1); ++image)
      require_possible(active, compile(active, image, 1, {true, false}));
  }
}

const dit::RoutingControl& CompiledRecipe::at(double noise_fraction, int64_t first, int64_t count,
                                              const std::vector<bool>& halves) {
  static const dit::RoutingControl kNone;
  const auto active = active_at(noise_fraction);
  if (active.empty()) return kNone;
  for (const auto& kept : kept_) {
    if (kept.active == active && kept.first == first && kept.count == count && kept.halves == halves)
      return kept.control;
  }
  auto control = compile(active, first, count, halves);
  for (auto* tensor : {&control.tokens.bias, &control.tokens.scale, &control.timesteps.bias,
                       &control.timesteps.scale})
    if (tensor->defined()) *tensor = tensor->to(device_);
  constexpr size_t kMost = 8;
  if (kept_.size() == kMost) kept_.erase(kept_.begin());
  kept_.push_back({active, first, count, halves, std::move(control)});
  return kept_.back().control;
}

}  // namespace switchyard::pipeline

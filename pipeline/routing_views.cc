#include "pipeline/routing_views.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace switchyard::pipeline {
namespace {

constexpr float kNothing = std::numeric_limits<float>::quiet_NaN();

void require_index(const char* what, int64_t index, int64_t size) {
  if (index >= 0 && index < size) return;
  throw std::invalid_argument(c10::str("routing view: ", what, " ", index, " is not in 0 .. ", size - 1));
}

void require(const RoutingRecord& record, const Place& place) {
  require_index("image", place.image, record.images());
  require_index("step", place.step, record.steps());
  require_index("layer", place.layer, record.layers());
}

void require(const RoutingRecord& record, Measure measure) {
  if (measure != Measure::probability || record.probabilities.defined()) return;
  throw std::invalid_argument("routing view: the record did not keep probabilities");
}

int64_t index_of(Half half) {
  if (half == Half::difference)
    throw std::invalid_argument("routing view: expected one half of guidance, got both");
  return half == Half::conditional ? 0 : 1;
}

// view(half): what it is for one of the halves, or the difference of both.
template <class View>
at::Tensor of_half(Half half, View view) {
  if (half != Half::difference) return view(half);
  return view(Half::conditional) - view(Half::unconditional);
}

int64_t experts_of(const RoutingRecord& record, int64_t layer) {
  return record.router() == Router::tokens ? record.config().experts_of(layer) : record.num_experts();
}

// A span of a record, checked.
struct Steps {
  Steps(const RoutingRecord& record, const Span& span)
      : first(span.first_step), end(span.last_step == -1 ? record.steps() : span.last_step + 1) {
    require_index("step", first, record.steps());
    require_index("step", end - 1, record.steps());
    require_index("step", end - 1 - first, record.steps());
    for (const auto image : span.images) require_index("image", image, record.images());
    if (!span.images.empty()) images = at::tensor(span.images, at::kLong);
  }

  // [images, ...] -> [n, ...]
  at::Tensor chosen(const at::Tensor& all) const {
    return images.defined() ? all.index_select(0, images) : all;
  }

  int64_t first, end;
  at::Tensor images;  // undefined: all
};

// experts or gate weights of a step and half: [n, layers, T, k].
at::Tensor at_step(const at::Tensor& all, const Steps& steps, int64_t step, int64_t half) {
  return steps.chosen(all.select(1, step).select(2, half));
}

// [..., k] of any index type -> int64, E for no expert.
at::Tensor bins_of(const RoutingRecord& record, const at::Tensor& experts) {
  const auto index = experts.to(at::kLong);
  return index.masked_fill(index.eq(record.no_expert()), record.num_experts());
}

// experts, gate weights [..., k] -> [..., E] fp32: 1 or the weight where an expert was chosen.
at::Tensor spread(const RoutingRecord& record, const at::Tensor& experts, const at::Tensor& weights,
                  Measure measure) {
  auto shape = experts.sizes().vec();
  shape.back() = record.num_experts() + 1;  // the last column takes the empty slots
  auto table = at::zeros(shape, at::kFloat);
  const auto bins = bins_of(record, experts);
  if (measure == Measure::tokens)
    table.scatter_(-1, bins, 1.0);
  else
    table.scatter_(-1, bins, weights.to(at::kFloat));
  return table.narrow(-1, 0, record.num_experts());
}

// Sums over tokens at each step of the span, [steps of the span, layers, E] fp64, and of how many, [steps of the span].
struct Sums {
  at::Tensor values, tokens;
};

Sums sums_of(const RoutingRecord& record, const Steps& steps, Half which, Measure measure,
             int64_t first_layer, int64_t layers) {
  require(record, measure);
  const int64_t half = index_of(which), experts = record.num_experts(), tokens = record.experts.size(4);
  Sums sums{at::zeros({steps.end - steps.first, layers, experts}, at::kDouble),
            steps.chosen(record.evaluated).select(2, half).sum(0).slice(0, steps.first, steps.end) * tokens};
  const auto layer_of_bin = (experts + 1) * at::arange(layers).view({1, layers, 1, 1});
  for (int64_t step = steps.first; step < steps.end; ++step) {
    const auto part = [&](const at::Tensor& all) {
      return at_step(all.narrow(2, first_layer, layers), steps, step, half);
    };
    auto sum = sums.values[step - steps.first];
    if (measure == Measure::probability) {
      sum.copy_(part(record.probabilities).sum(at::IntArrayRef{0, 2}, false, at::kFloat));
      continue;
    }
    const auto bins = (bins_of(record, part(record.experts)) + layer_of_bin).flatten();
    std::optional<at::Tensor> weights;
    if (measure == Measure::weight) weights = part(record.gate_weights).to(at::kDouble).flatten();
    sum.copy_(at::bincount(bins, weights, layers * (experts + 1))
                  .view({layers, experts + 1})
                  .narrow(1, 0, experts));
  }
  return sums;
}

// Marks the columns of experts that a layer does not have.
at::Tensor mark_missing(const RoutingRecord& record, int64_t layer, at::Tensor table, int64_t dim = -1) {
  const auto there = experts_of(record, layer);
  table.slice(dim, there, record.num_experts()).fill_(kNothing);
  return table;
}

// [E, E] of the pairs of tables [n, T, E] that `pair(step)` answers with at each step.
template <class Pair>
at::Tensor flow_of(const RoutingRecord& record, const Steps& steps, int64_t from_layer, int64_t to_layer,
                   Pair pair) {
  const auto experts = record.num_experts();
  auto counts = at::zeros({experts, experts}, at::kDouble);
  for (int64_t step = steps.first; step < steps.end; ++step) {
    const auto [from, to] = pair(step);
    counts += from.reshape({-1, experts}).t().mm(to.reshape({-1, experts}));
  }
  auto flow = (counts / counts.sum()).to(at::kFloat);  // 0 / 0: nothing
  return mark_missing(record, to_layer, mark_missing(record, from_layer, flow, 0), 1);
}

// Who was chosen, [n, T, E] fp32, nobody where it was not evaluated.
at::Tensor chosen_at(const RoutingRecord& record, const Steps& steps, int64_t step, int64_t layer,
                     Half half) {
  const auto experts = at_step(record.experts, steps, step, index_of(half)).select(1, layer);
  return spread(record, experts, {}, Measure::tokens);
}

// [..., 2, T] of first choices -> [..., T]; see winner_map().
at::Tensor winners_of(const RoutingRecord& record, const at::Tensor& first_choices, Half half) {
  const auto index = first_choices.to(at::kLong);
  const auto winners = index.masked_fill(index.eq(record.no_expert()), -1);
  if (half != Half::difference) return winners.select(-2, index_of(half));
  const auto conditional = winners.select(-2, 0), other = winners.select(-2, 1);
  return conditional.masked_fill(other.eq(conditional).logical_or(other.lt(0)), -1);
}

}  // namespace

at::Tensor token_table(const RoutingRecord& record, const Place& place, Measure measure) {
  require(record, place);
  require(record, measure);
  return of_half(place.half, [&](Half half) {
    const auto here = [&](const at::Tensor& all) {
      return all.select(0, place.image)
          .select(0, place.step)
          .select(0, place.layer)
          .select(0, index_of(half));
    };
    if (!record.evaluated[place.image][place.step][index_of(half)].item<bool>())
      return at::full({record.experts.size(4), record.num_experts()}, kNothing);
    auto table = measure == Measure::probability
                     ? here(record.probabilities).to(at::kFloat)
                     : spread(record, here(record.experts), here(record.gate_weights), measure);
    return mark_missing(record, place.layer, table);
  });
}

at::Tensor patch_map(const RoutingRecord& record, const Place& place, int64_t expert, Measure measure) {
  require_index("expert", expert, record.num_experts());
  return token_table(record, place, measure).select(1, expert).contiguous();
}

at::Tensor winner_map(const RoutingRecord& record, const Place& place) {
  require(record, place);
  return winners_of(record, record.experts[place.image][place.step][place.layer].select(-1, 0), place.half);
}

at::Tensor path_of_patch(const RoutingRecord& record, int64_t image, int64_t patch, Half half) {
  require_index("image", image, record.images());
  require_index("patch", patch, record.experts.size(4));
  const auto first_choices =
      record.experts[image].narrow(3, patch, 1).select(-1, 0);  // [steps, layers, 2, 1]
  return winners_of(record, first_choices, half).squeeze(-1);
}

at::Tensor margins(const RoutingRecord& record, const Place& place) {
  return of_half(place.half, [&](Half half) {
    const Place here{place.image, place.step, place.layer, half};
    const auto probabilities = token_table(record, here, Measure::probability);
    const auto chosen = token_table(record, here, Measure::tokens).gt(0);
    const auto rejected = chosen.logical_or(probabilities.isnan()).logical_not();
    constexpr double inf = std::numeric_limits<double>::infinity();
    const auto margin =
        at::where(chosen, probabilities, inf).amin(1) - at::where(rejected, probabilities, -inf).amax(1);
    return margin.masked_fill(margin.isinf(), kNothing);
  });
}

at::Tensor changed_choices(const RoutingRecord& a, const Place& at_a, const RoutingRecord& b,
                           const Place& at_b) {
  index_of(at_a.half), index_of(at_b.half);
  const auto in_a = token_table(a, at_a, Measure::tokens).nan_to_num(0),
             in_b = token_table(b, at_b, Measure::tokens).nan_to_num(0);
  if (in_a.sizes() != in_b.sizes()) {
    throw std::invalid_argument(
        c10::str("routing view: expected records of equally many tokens and experts, got ", in_a.sizes(),
                 " and ", in_b.sizes()));
  }
  const auto changed = 1 - (in_a * in_b).sum(1) / in_a.sum(1);
  return changed.masked_fill(in_b.sum(1).eq(0), kNothing);
}

at::Tensor timestep_map(const RoutingRecord& record, const Span& span, int64_t layer, Measure measure) {
  require_index("layer", layer, record.layers());
  const Steps steps(record, span);
  return of_half(span.half, [&](Half half) {
    const auto sums = sums_of(record, steps, half, measure, layer, 1);
    auto map = at::full({record.steps(), record.num_experts()}, kNothing);
    map.slice(0, steps.first, steps.end).copy_(sums.values.squeeze(1) / sums.tokens.unsqueeze(1));
    return mark_missing(record, layer, map);
  });
}

Atlas atlas(const RoutingRecord& record, const Span& span, Measure measure) {
  if (span.half == Half::difference) {
    const auto of = [&](Half half) {
      return atlas(record, {span.images, span.first_step, span.last_step, half}, measure);
    };
    const auto conditional = of(Half::conditional), other = of(Half::unconditional);
    return {conditional.loads - other.loads, conditional.entropy - other.entropy,
            conditional.imbalance - other.imbalance};
  }
  const auto sums = sums_of(record, Steps(record, span), span.half, measure, 0, record.layers());
  Atlas atlas{(sums.values.sum(0) / sums.tokens.sum()).to(at::kFloat), at::empty({record.layers()}),
              at::empty({record.layers()})};
  for (int64_t layer = 0; layer < record.layers(); ++layer) {
    const auto there = experts_of(record, layer);
    const auto loads = mark_missing(record, layer, atlas.loads[layer]).narrow(0, 0, there).to(at::kDouble);
    const auto share = loads / loads.sum();
    const double most = std::log(static_cast<double>(there));
    const auto entropy = -at::xlogy(share, share).sum();
    atlas.entropy[layer] = there == 1 ? at::where(share.isnan(), share, 1.0).squeeze(0) : entropy / most;
    atlas.imbalance[layer] = share.max() * there;
  }
  return atlas;
}

at::Tensor flow_to_next_layer(const RoutingRecord& record, const Span& span, int64_t layer) {
  require_index("layer before another", layer, record.layers() - 1);
  const Steps steps(record, span);
  return of_half(span.half, [&](Half half) {
    return flow_of(record, steps, layer, layer + 1, [&](int64_t step) {
      return std::pair(chosen_at(record, steps, step, layer, half),
                       chosen_at(record, steps, step, layer + 1, half));
    });
  });
}

at::Tensor flow_to_next_step(const RoutingRecord& record, const Span& span, int64_t step, int64_t layer) {
  require_index("layer", layer, record.layers());
  require_index("step before another", step, record.steps() - 1);
  const Steps steps(record, {span.images, step, step, span.half});
  return of_half(span.half, [&](Half half) {
    return flow_of(record, steps, layer, layer, [&](int64_t from) {
      return std::pair(chosen_at(record, steps, from, layer, half),
                       chosen_at(record, steps, from + 1, layer, half));
    });
  });
}

std::vector<Dormant> dormant_experts(const RoutingRecord& record, const Span& span, double part) {
  const auto counts =
      sums_of(record, Steps(record, span), span.half, Measure::tokens, 0, record.layers()).values.sum(0);
  std::vector<Dormant> dormant;
  for (int64_t layer = 0; layer < record.layers(); ++layer) {
    const auto there = experts_of(record, layer);
    const double all = counts[layer].sum().item<double>();
    for (int64_t expert = 0; all > 0 && expert < there; ++expert) {
      const double share = counts[layer][expert].item<double>() / all;
      if (share * static_cast<double>(there) < part) dormant.push_back({layer, expert, share});
    }
  }
  std::ranges::stable_sort(dormant, {}, &Dormant::share);
  return dormant;
}

std::vector<StrongPatch> strongest_patches(const RoutingRecord& record, const Span& span, int64_t layer,
                                           int64_t expert, int64_t count) {
  require_index("layer", layer, record.layers());
  require_index("expert", expert, record.num_experts());
  const Steps steps(record, span);
  const int64_t half = index_of(span.half);
  const auto experts =
      steps.chosen(record.experts.slice(1, steps.first, steps.end).select(2, layer).select(2, half));
  const auto weights =
      steps.chosen(record.gate_weights.slice(1, steps.first, steps.end).select(2, layer).select(2, half));
  const auto mine = weights.to(at::kFloat).masked_fill(experts.ne(expert), 0).amax(-1);  // [n, steps, T]
  const auto [best, step] = mine.max(1);                                                 // [n, T]
  const auto flat = best.flatten();
  const auto order = flat.argsort(/*stable=*/true, 0, /*descending=*/true);
  std::vector<StrongPatch> patches;
  const int64_t tokens = best.size(1);
  for (int64_t i = 0; i < std::min(count, order.numel()); ++i) {
    const int64_t at = order[i].item<int64_t>(), n = at / tokens, patch = at % tokens;
    const double weight = flat[at].item<double>();
    if (weight <= 0) break;
    patches.push_back({span.images.empty() ? n : span.images[static_cast<size_t>(n)],
                       steps.first + step[n][patch].item<int64_t>(), patch, weight});
  }
  return patches;
}

at::Tensor normalised(const at::Tensor& matrix, Normalisation how) {
  if (how == Normalisation::none) return matrix;
  const auto magnitude = matrix.abs();
  const auto there = matrix.isnan().logical_not();
  const auto over = [&](int64_t dim) { return magnitude.nansum(at::IntArrayRef{dim}, /*keepdim=*/true); };
  const auto by = how == Normalisation::row      ? over(1)
                  : how == Normalisation::column ? over(0)
                  : how == Normalisation::global ? magnitude.nan_to_num(0).max()
                                                 : over(1) / there.sum(1, /*keepdim=*/true);
  return at::where(by > 0, matrix / by, matrix);
}

}  // namespace switchyard::pipeline

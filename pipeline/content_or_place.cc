#include "pipeline/content_or_place.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <set>
#include <stdexcept>
#include <vector>

#include "sampler/noise.h"
#include "sampler/schedule.h"

namespace switchyard::pipeline {
namespace {

struct Movement {
  int64_t down = 0, right = 0;  // in patches
  bool mirror = false;

  // images [.., h, w] of so many pixels per patch
  at::Tensor of(const at::Tensor& images, int64_t patch) const {
    return mirror ? images.flip(-1) : images.roll({down * patch, right * patch}, {-2, -1});
  }
};

// By one patch, by a third and by half of the image, along both axes; and mirrored.
std::vector<Movement> movements(int64_t side) {
  std::vector<Movement> all;
  for (const auto shift : std::set<int64_t>{1, side / 3, side / 2}) {
    if (shift == 0 || shift == side) continue;
    all.push_back({shift, 0}), all.push_back({0, shift}), all.push_back({shift, shift});
  }
  all.push_back({0, 0, true});
  return all;
}

at::Tensor share(const at::Tensor& part, const at::Tensor& of) {
  return (part.to(at::kDouble) / of).to(at::kFloat);  // 0 / 0: nothing
}

}  // namespace

Followed followed(const at::Tensor& before, const at::Tensor& after, const at::Tensor& source) {
  const auto content = before.index_select(1, source);
  const auto differ = content.ne(before);
  return {differ.sum(1), after.eq(content).logical_and(differ).sum(1)};
}

std::optional<ContentScore> content_or_place(Session& session, const at::Tensor& latent, int64_t label,
                                             uint64_t seed, double t, const dit::Stop& stop) {
  const auto& config = session.config();
  if (!config.routes_tokens()) throw std::invalid_argument("content or place: the model routes no tokens");
  const auto level = sampler::Schedule(config.schedule).level(t);
  const auto noise = sampler::initial_noise(std::vector<uint64_t>{seed}, latent.sizes())[0];
  const auto z = level.alpha * latent + level.sigma * noise;
  const int64_t side = config.input_size / config.patch_size;
  const auto places = at::arange(side * side).view({side, side});
  const auto chosen = [&](const at::Tensor& image) -> std::optional<at::Tensor> {  // [layers, T, E]
    try {
      return session.routing_of(image.unsqueeze(0), t, {label}, stop).tokens.gate_weights.select(1, 0).ne(0);
    } catch (const dit::Stopped&) {
      return std::nullopt;
    }
  };
  const auto before = chosen(z);
  if (!before) return std::nullopt;
  Followed shifted, mirrored;
  for (const auto& movement : movements(side)) {
    const auto after = chosen(movement.of(z, config.patch_size));
    if (!after) return std::nullopt;
    const auto found = followed(*before, *after, movement.of(places, 1).flatten());
    auto& sum = movement.mirror ? mirrored : shifted;
    if (!sum.differ.defined()) {
      sum = found;
    } else {
      sum.differ += found.differ, sum.with_content += found.with_content;
    }
  }
  return ContentScore{share(shifted.with_content, shifted.differ),
                      share(mirrored.with_content, mirrored.differ)};
}

}  // namespace switchyard::pipeline

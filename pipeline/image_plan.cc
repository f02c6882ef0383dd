#include "pipeline/image_plan.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <unordered_map>

#include "pipeline/classes.h"
#include "io/near_misses.h"
#include "sampler/noise.h"

namespace switchyard::pipeline {
namespace {

constexpr std::array<std::string_view, 2> kBalances{"equal", "random"};

// A number for the seed, as good as random and not that of the noise. Source: Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators" (2014), SplitMix64's step.
uint64_t scattered(uint64_t seed) {
  uint64_t z = seed + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Balance balance_from_name(std::string_view name) {
  const auto found = std::ranges::find(kBalances, name);
  if (found != kBalances.end()) return static_cast<Balance>(found - kBalances.begin());
  throw std::invalid_argument(
      c10::str("unknown balance \"", name, "\"; ", io::near_misses(name, kBalances)));
}

std::string_view to_string(Balance balance) { return kBalances.at(static_cast<size_t>(balance)); }

ImagePlan balanced_plan(const dit::ModelConfig& config, const std::vector<int64_t>& labels, Balance balance,
                        int64_t count, uint64_t seed, Variant variant) {
  if (count < 1) throw std::invalid_argument(c10::str("expected at least one image, got ", count));
  if (seed > sampler::kMaxSeed || static_cast<uint64_t>(count - 1) > sampler::kMaxSeed - seed) {
    throw std::invalid_argument(c10::str("seeds are at most ", sampler::kMaxSeed, ", asked for ", seed,
                                         " and the ", count - 1, " after it"));
  }
  ImagePlan plan{.variants = {std::move(variant)},
                 .variant_of = std::vector<uint32_t>(static_cast<size_t>(count))};
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    const uint64_t pick = balance == Balance::equal ? i : scattered(seed + i);
    const int64_t label = labels[pick % labels.size()];
    plan.images.push_back({label, seed + i});
    plan.names.push_back(image_file_name(config, label, seed + i));
  }
  return plan;
}

}  // namespace switchyard::pipeline

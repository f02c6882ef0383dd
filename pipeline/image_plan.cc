#include "pipeline/image_plan.h"

#include <c10/util/StringUtil.h>

#include <array>
#include <stdexcept>

#include "io/near_misses.h"
#include "io/split_mix.h"
#include "pipeline/classes.h"
#include "sampler/noise.h"

namespace switchyard::pipeline {
namespace {

constexpr std::array<std::string_view, 2> kBalances{"equal", "random"};

}  // namespace

Balance balance_from_name(std::string_view name) {
  return static_cast<Balance>(io::place_of_name("balance", name, kBalances));
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
  plan.choice = {{"classes", labels}, {"balance", to_string(balance)}, {"seed", seed}};
  for (uint64_t i = 0; i < static_cast<uint64_t>(count); ++i) {
    const uint64_t pick = balance == Balance::equal ? i : io::split_mix(seed + i + io::kSplitMixStep);
    const int64_t label = labels[pick % labels.size()];
    plan.images.push_back({label, seed + i});
    plan.names.push_back(image_file_name(config, label, seed + i));
  }
  return plan;
}

}  // namespace switchyard::pipeline

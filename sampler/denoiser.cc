#include "sampler/denoiser.h"

#include <c10/util/StringUtil.h>

#include <array>
#include <stdexcept>

#include "sampler/near_misses.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 2> kPredictionNames = {"velocity", "clean_image"};  // by enumerator

}  // namespace

std::string_view to_string(Prediction prediction) {
  return kPredictionNames.at(static_cast<std::size_t>(prediction));
}

Prediction prediction_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kPredictionNames.size(); ++i) {
    if (kPredictionNames[i] == name) return static_cast<Prediction>(i);
  }
  throw std::invalid_argument(
      c10::str("unknown prediction \"", name, "\"; ", near_misses(name, kPredictionNames)));
}

}  // namespace switchyard::sampler

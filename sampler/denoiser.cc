#include "sampler/denoiser.h"

#include <c10/util/StringUtil.h>

#include <array>
#include <stdexcept>
#include <string>

#include "io/near_misses.h"

namespace switchyard::sampler {
namespace {

constexpr std::array<std::string_view, 5> kPredictionNames = {"velocity", "clean_image", "noise",
                                                              "noise_and_variance", "v"};  // by enumerator

bool fits(Prediction prediction, const Schedule& schedule) {
  switch (prediction) {
    case Prediction::velocity:
      return schedule.is_flow();
    case Prediction::clean_image:
      return true;
    case Prediction::noise:
      return !schedule.in_unit_time();
    case Prediction::noise_and_variance:
      return schedule.is_discrete();
    case Prediction::v:
      return schedule.is_discrete() || schedule.is_circle();
  }
  return false;
}

}  // namespace

std::string_view to_string(Prediction prediction) {
  return kPredictionNames.at(static_cast<std::size_t>(prediction));
}

Prediction prediction_from_name(std::string_view name) {
  return static_cast<Prediction>(io::place_of_name("prediction", name, kPredictionNames));
}

std::span<const std::string_view> prediction_names() { return kPredictionNames; }

void require_fit(Prediction prediction, const Schedule& schedule) {
  if (fits(prediction, schedule)) return;
  std::string fitting;
  for (std::size_t i = 0; i < kPredictionNames.size(); ++i) {
    if (!fits(static_cast<Prediction>(i), schedule)) continue;
    fitting.append(fitting.empty() ? "" : ", ").append(kPredictionNames[i]);
  }
  throw std::invalid_argument(c10::str("prediction \"", to_string(prediction),
                                       "\" does not go with schedule \"", schedule.name(),
                                       "\"; these do: ", fitting));
}

}  // namespace switchyard::sampler

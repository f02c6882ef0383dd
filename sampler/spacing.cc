#include "sampler/spacing.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <stdexcept>

namespace switchyard::sampler {
namespace {

int count_from(std::string_view text, std::string_view spec) {
  int count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count < 1) {
    throw std::invalid_argument(
        c10::str("spacing \"", spec, "\": \"", text,
                 "\" is not a count; expected such as \"25\", \"10,20,30\" or \"ddim25\""));
  }
  return count;
}

std::vector<int> whole_stride(int timesteps, int count, std::string_view spec) {
  for (int stride = 1; stride < timesteps; ++stride) {
    if ((timesteps - 1) / stride + 1 != count) continue;
    std::vector<int> kept;
    for (int t = 0; t < timesteps; t += stride) kept.push_back(t);
    return kept;
  }
  throw std::invalid_argument(
      c10::str("spacing \"", spec, "\": no whole stride gives ", count, " of ", timesteps, " timesteps"));
}

}  // namespace

std::vector<int> space_timesteps(int timesteps, std::string_view spec) {
  constexpr std::string_view kDdim = "ddim";
  if (spec.starts_with(kDdim)) {
    return whole_stride(timesteps, count_from(spec.substr(kDdim.size()), spec), spec);
  }
  std::vector<int> counts;
  for (std::size_t first = 0; first <= spec.size();) {
    const auto comma = std::min(spec.find(',', first), spec.size());
    counts.push_back(count_from(spec.substr(first, comma - first), spec));
    first = comma + 1;
  }
  const int sections = static_cast<int>(counts.size());
  std::set<int> kept;
  int start = 0;
  for (int section = 0; section < sections; ++section) {
    const int size = timesteps / sections + (section < timesteps % sections ? 1 : 0);
    const int count = counts[section];
    if (size < count) {
      throw std::invalid_argument(c10::str("spacing \"", spec, "\": section ", section + 1, " has ", size,
                                           " timesteps, fewer than the ", count, " asked for"));
    }
    const double stride = count == 1 ? 1.0 : static_cast<double>(size - 1) / (count - 1);
    double current = 0;
    for (int i = 0; i < count; ++i, current += stride) {
      kept.insert(start + static_cast<int>(std::nearbyint(current)));
    }
    start += size;
  }
  return {kept.begin(), kept.end()};
}

std::vector<double> spaced_timesteps(Spacing spacing, int timesteps, int steps,
                                     const SpacingVariant& variant) {
  if (steps < 1 || steps > timesteps) {
    throw std::invalid_argument(c10::str("steps is ", steps, ", expected 1..", timesteps));
  }
  const int end = variant.end == 0 ? timesteps : variant.end;
  const int points = steps + (variant.drop_lowest ? 1 : 0);
  std::vector<double> spaced;
  switch (spacing) {
    case Spacing::leading: {
      const int stride = (variant.drop_lowest ? end : timesteps) / points;
      if (stride < 1)
        throw std::invalid_argument(
            c10::str("spacing: ", end, " timesteps are too few for ", steps, " steps"));
      for (int i = points - 1; i >= points - steps; --i) spaced.push_back(i * stride + variant.offset);
      break;
    }
    case Spacing::trailing: {
      const double stride = static_cast<double>(timesteps) / steps;
      const double minus_stride = (end - stride) - end;  // rounded as ranges of floating-point numbers are
      const int count = static_cast<int>(std::ceil(end / stride));
      for (int i = 0; i < count; ++i) spaced.push_back(std::nearbyint(end + i * minus_stride) - 1);
      break;
    }
    case Spacing::linspace:
      for (int i = points - 1; i >= points - steps; --i) {
        const double last = end - 1, stride = points == 1 ? 0.0 : last / (points - 1);
        const double t = std::min(i * stride, last);  // of 30 or 100 steps the product is above it, by rounding
        spaced.push_back(variant.fractional ? t : std::nearbyint(t));
      }
      break;
  }
  for (const double t : spaced) {
    if (!(0 <= t && t <= timesteps - 1)) {
      throw std::invalid_argument(c10::str("spacing: timestep ", t, " is outside 0..", timesteps - 1,
                                           " (offset ", variant.offset, ")"));
    }
  }
  return spaced;
}

std::vector<double> karras_ratios(double most, double least, int steps, double rho) {
  if (!(most > 0 && least > 0 && rho > 0 && std::isfinite(most) && std::isfinite(rho))) {
    throw std::invalid_argument(c10::str("noise levels from ", most, " to ", least, " with rho ", rho,
                                         ", expected finite numbers above 0"));
  }
  if (steps < 1) throw std::invalid_argument(c10::str("steps is ", steps, ", expected at least 1"));
  const double first = std::pow(most, 1 / rho), last = std::pow(least, 1 / rho);
  std::vector<double> ratios;
  for (int i = 0; i < steps; ++i) {
    const double ramp = steps == 1 ? 0.0 : static_cast<double>(i) / (steps - 1);
    ratios.push_back(std::pow(first + ramp * (last - first), rho));
  }
  return ratios;
}

}  // namespace switchyard::sampler

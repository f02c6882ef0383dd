#include "sampler/time_grid.h"

#include <c10/util/StringUtil.h>

#include <cmath>
#include <stdexcept>

namespace switchyard::sampler {

std::vector<double> time_grid(int steps, double shift) {
  if (steps < 1) throw std::invalid_argument(c10::str("steps is ", steps, ", expected at least 1"));
  if (!(shift > 0.0 && std::isfinite(shift))) {
    throw std::invalid_argument(c10::str("shift is ", shift, ", expected a finite number above 0"));
  }
  std::vector<double> times;
  for (int i = steps; i >= 0; --i) {
    times.push_back(
        i / ((steps - i) / shift + i));  // the map above at t = i/steps; exact at both ends and at shift 1
  }
  return times;  // [steps + 1]
}

}  // namespace switchyard::sampler

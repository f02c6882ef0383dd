// Mean and deviation of a few numbers: of subsets, splits and resampled sets.
#pragma once

#include <vector>

namespace switchyard::metrics {

struct Spread {
  double mean = 0, deviation = 0;
};

/// The deviation's divisor is the count less `less`: 0 of all that there are, 1 of a sample. 0 for one number.
Spread spread_of(const std::vector<double>& values, int less = 0);

}  // namespace switchyard::metrics

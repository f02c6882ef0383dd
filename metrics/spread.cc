#include "metrics/spread.h"

#include <algorithm>
#include <cmath>

namespace switchyard::metrics {

Spread spread_of(const std::vector<double>& values, int less) {
  const auto count = static_cast<double>(values.size());
  double mean = 0, scatter = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) scatter += (value - mean) * (value - mean);
  return {mean, std::sqrt(scatter / std::max(count - less, 1.0))};
}

}  // namespace switchyard::metrics

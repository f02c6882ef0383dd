// What the benchmarks time with.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace switchyard::timing {

inline double seconds(const std::function<void()>& run) {
  const auto start = std::chrono::steady_clock::now();
  run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace switchyard::timing

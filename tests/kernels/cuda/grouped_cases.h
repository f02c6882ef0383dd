// Groups of rows that the grouped products are tested with.
#pragma once

#include <numeric>
#include <string>
#include <vector>

#include "cases.h"

namespace switchyard::kernels::cuda {

struct GroupedCase {
  std::vector<std::int64_t> rows;  // of each expert
  int in, out;

  int experts() const { return static_cast<int>(rows.size()); }
  std::int64_t all_rows() const { return std::accumulate(rows.begin(), rows.end(), std::int64_t{0}); }
  at::Tensor begin() const {  // [1, experts + 1] int32
    auto begin = at::zeros({1, experts() + 1}, at::kInt);
    for (int e = 0; e < experts(); ++e) begin[0][e + 1] = begin[0][e] + rows[static_cast<std::size_t>(e)];
    return begin;
  }
};

/// kTokenCounts rows in all, spread over kExpertCounts experts, the first of every three with none; and a few
/// that need several tiles in every direction.
inline std::vector<GroupedCase> grouped_cases() {
  std::vector<GroupedCase> all;
  for (const auto tokens : kTokenCounts) {
    for (const int experts : kExpertCounts) {
      GroupedCase c{std::vector<std::int64_t>(static_cast<std::size_t>(experts)), 40, 24};
      for (std::int64_t row = 0; row < tokens; ++row) {
        auto e = static_cast<std::size_t>(row * 7 % experts);
        if (experts > 1 && e % 3 == 0) e = (e + 1) % static_cast<std::size_t>(experts);
        ++c.rows[e];
      }
      all.push_back(c);
    }
  }
  all.push_back({{1, 0, 31, 33, 127, 129, 0}, 96, 72});
  all.push_back({{3, 0, 130}, 136, 264});
  all.push_back({{2}, 8, 8});
  return all;
}

/// work(expert, first row, rows) for each expert that has rows.
template <class Work>
void for_each_group(const GroupedCase& c, Work work) {
  std::int64_t first = 0;
  for (int e = 0; e < c.experts(); ++e) {
    const auto count = c.rows[static_cast<std::size_t>(e)];
    if (count > 0) work(e, first, count);
    first += count;
  }
}

inline std::string text(const GroupedCase& c) {
  return std::to_string(c.experts()) + " experts, " + std::to_string(c.all_rows()) + " rows, " +
         std::to_string(c.in) + " to " + std::to_string(c.out);
}

}  // namespace switchyard::kernels::cuda

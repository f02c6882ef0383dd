#include "train/assignment.h"

#include <ATen/ATen.h>

#include <limits>

namespace switchyard::train {

std::vector<int64_t> cheapest_assignment(const at::Tensor& cost) {
  TORCH_CHECK(cost.dim() == 2 && cost.size(0) == cost.size(1) && at::isfinite(cost).all().item<bool>(),
              "cheapest_assignment: expected finite costs [n, n], got ", cost.sizes());
  const auto costs = cost.detach().to(at::kCPU, at::kDouble).contiguous();
  const auto n = static_cast<size_t>(cost.size(0));
  const double* c = costs.const_data_ptr<double>();

  // Rows and columns count from 1; column 0 holds the row that is being placed, row 0 is nobody.
  std::vector<double> row_potential(n + 1), column_potential(n + 1);
  std::vector<size_t> row_of(n + 1), came_from(n + 1);
  for (size_t row = 1; row <= n; ++row) {
    row_of[0] = row;
    std::vector<double> slack(n + 1, std::numeric_limits<double>::infinity());
    std::vector<bool> reached(n + 1);
    size_t column = 0;
    do {  // grow the tree of tight edges by its nearest column until a free one is met
      reached[column] = true;
      const size_t from = row_of[column];
      double nearest = std::numeric_limits<double>::infinity();
      size_t next = 0;
      for (size_t j = 1; j <= n; ++j) {
        if (reached[j]) continue;
        const double reduced = c[(from - 1) * n + (j - 1)] - row_potential[from] - column_potential[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          came_from[j] = column;
        }
        if (slack[j] < nearest) {
          nearest = slack[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= n; ++j) {
        if (reached[j]) {
          row_potential[row_of[j]] += nearest;
          column_potential[j] -= nearest;
        } else {
          slack[j] -= nearest;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    for (; column != 0; column = came_from[column]) row_of[column] = row_of[came_from[column]];
  }

  std::vector<int64_t> column_of(n);
  for (size_t j = 1; j <= n; ++j) column_of[row_of[j] - 1] = static_cast<int64_t>(j - 1);
  return column_of;
}

}  // namespace switchyard::train

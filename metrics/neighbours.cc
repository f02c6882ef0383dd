#include "metrics/neighbours.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

namespace switchyard::metrics {
namespace {

constexpr int64_t kRows = 1024, kColumns = 4096;  // of a block of distances

// Calls visit(first row, first column, squared distances [rows, columns]) for all blocks of a and b; false when stopped.
template <class Visit>
bool for_each_block(const at::Tensor& a, const at::Tensor& b, const std::function<bool()>& stop,
                    const Visit& visit) {
  for (int64_t column = 0; column < b.size(0); column += kColumns) {
    const auto y = b.narrow(0, column, std::min(kColumns, b.size(0) - column)).to(at::kDouble);
    const auto y_length = y.square().sum(1);
    for (int64_t row = 0; row < a.size(0); row += kRows) {
      if (stop && stop()) return false;
      const auto x = a.narrow(0, row, std::min(kRows, a.size(0) - row)).to(at::kDouble);
      auto distances = at::addmm(y_length.unsqueeze(0), x, y.t(), 1, -2);
      visit(row, column, distances.add_(x.square().sum(1, /*keepdim=*/true)).clamp_min_(0));
    }
  }
  return true;
}

}  // namespace

at::Tensor squared_radii(const at::Tensor& rows, int64_t k, const std::function<bool()>& stop) {
  if (rows.dim() != 2 || k < 1 || rows.size(0) <= k)
    throw std::invalid_argument("neighbours: expected [N, D] with more than k = " + std::to_string(k) +
                                " rows, got " + c10::str(rows.sizes()));
  constexpr double kFar = std::numeric_limits<double>::infinity();
  auto nearest = at::full({rows.size(0), k}, kFar, at::kDouble);
  const auto keep_nearest = [&](int64_t row, int64_t column, at::Tensor distances) {
    if (const int64_t itself = row - column; itself > -distances.size(0) && itself < distances.size(1))
      distances.diagonal(itself).fill_(kFar);
    auto so_far = nearest.narrow(0, row, distances.size(0));
    const auto block = std::get<0>(distances.topk(std::min(k, distances.size(1)), 1, /*largest=*/false));
    so_far.copy_(std::get<0>(at::cat({so_far, block}, 1).topk(k, 1, /*largest=*/false)));
  };
  if (!for_each_block(rows, rows, stop, keep_nearest)) return {};
  return nearest.amax(1);
}

std::optional<Neighbours> neighbours(const at::Tensor& real, const at::Tensor& generated, int64_t k,
                                     const std::function<bool()>& stop) {
  if (real.dim() != 2 || generated.dim() != 2 || real.size(1) != generated.size(1))
    throw std::invalid_argument("neighbours: expected two sets of as many features, got " +
                                c10::str(real.sizes(), " and ", generated.sizes()));
  const auto real_radii = squared_radii(real, k, stop);
  const auto generated_radii = real_radii.defined() ? squared_radii(generated, k, stop) : at::Tensor();
  if (!generated_radii.defined()) return std::nullopt;
  auto precise = at::zeros({generated.size(0)}, at::kBool);
  auto recalled = at::zeros({real.size(0)}, at::kBool), covered = at::zeros({real.size(0)}, at::kBool);
  int64_t pairs = 0;
  const auto count = [&](int64_t row, int64_t column, const at::Tensor& distances) {
    const int64_t n = distances.size(0), m = distances.size(1);
    const auto radii = real_radii.narrow(0, row, n).unsqueeze(1);
    const auto inside = distances < radii;
    pairs += inside.sum().item<int64_t>();
    covered.narrow(0, row, n).logical_or_(inside.any(1));
    precise.narrow(0, column, m).logical_or_((distances <= radii).any(0));
    recalled.narrow(0, row, n).logical_or_((distances <= generated_radii.narrow(0, column, m)).any(1));
  };
  if (!for_each_block(real, generated, stop, count)) return std::nullopt;
  const auto share = [](const at::Tensor& hits) { return hits.to(at::kDouble).mean().item<double>(); };
  return Neighbours{share(precise), share(recalled),
                    static_cast<double>(pairs) / static_cast<double>(k * generated.size(0)), share(covered)};
}

}  // namespace switchyard::metrics

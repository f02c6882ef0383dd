#include "kernels/activation/activation.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include "kernels/rows/rows.h"

namespace switchyard::kernels {
namespace {

bool goes_to_libtorch(const at::Tensor& x) {
  return !has_row_loops(x) || (at::GradMode::is_enabled() && x.requires_grad());
}

// run(table, from, to, count) for parts of all numbers.
template <class Run>
at::Tensor each(const at::Tensor& x, const Run& run) {
  const auto from = x.contiguous();
  auto to = at::empty(from.sizes(), from.options());
  with_storage_type(from, [&]<class T>(T) {
    share_rows(from.numel(), 1, [&](int64_t first, int64_t last) {
      run(row_loops<T>(), rows_of<T>(from) + first, rows_of<T>(to) + first, last - first);
    });
  });
  return to;
}

}  // namespace

at::Tensor silu(const at::Tensor& x) {
  if (goes_to_libtorch(x)) return at::silu(x);
  return each(x, [](const auto& loops, auto from, auto to, int64_t n) { loops.silu(from, to, n); });
}

at::Tensor gelu(const at::Tensor& x) {
  if (goes_to_libtorch(x)) return at::gelu(x, "tanh");
  return each(x, [](const auto& loops, auto from, auto to, int64_t n) { loops.gelu(from, to, n); });
}

}  // namespace switchyard::kernels

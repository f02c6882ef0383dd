// From tensors to the fused passes of row_loops.h: which tensors they take, and how the cores share the rows.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>

#include "kernels/rows/row_loops.h"

namespace switchyard::kernels {

/// Whether the fused passes take this tensor: on the CPU, fp32 or bf16.
inline bool has_row_loops(const at::Tensor& x) {
  return x.device().is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

/// The address of the first element as T: float, or Bf16 for a bf16 tensor. The tensor must be contiguous.
template <class T>
T* rows_of(const at::Tensor& x) {
  TORCH_INTERNAL_ASSERT_DEBUG_ONLY(x.is_contiguous());
  return static_cast<T*>(x.mutable_data_ptr());
}

/// Calls work(T{}) with the storage type of `x`, for which has_row_loops() is true.
template <class Work>
void with_storage_type(const at::Tensor& x, const Work& work) {
  x.scalar_type() == at::kFloat ? work(float{}) : work(Bf16{});
}

/// Calls work(first, last) for parts of 0 .. n - 1, each row worth `width` numbers, on as many threads as
/// that pays.
template <class Work>
void share_rows(int64_t n, int64_t width, const Work& work) {
  constexpr int64_t kNumbersPerTask = 32768;
  at::parallel_for(0, n, std::max<int64_t>(1, kNumbersPerTask / std::max<int64_t>(1, width)), work);
}

}  // namespace switchyard::kernels

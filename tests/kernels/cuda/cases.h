// What the tables of the CUDA kernels share: operands as kernels see them, and the sizes and schedules to
// run.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <span>
#include <string>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

#include "emulator/emulator.h"
#include "kernels/compare.h"
#include "kernels/cuda/types.h"

namespace switchyard::kernels::cuda {

inline constexpr std::int64_t kTokenCounts[] = {1, 31, 33, 127, 129, 512};
inline constexpr int kExpertCounts[] = {1, 3, 8, 16, 31};

inline constexpr std::pair<at::ScalarType, double> kDtypes[] = {{at::kFloat, 1e-5}, {at::kBFloat16, 1.6e-2}};

inline DType dtype_of(at::ScalarType type) { return type == at::kBFloat16 ? DType::bf16 : DType::f32; }

/// A matrix in a heap block of exactly its size whose rows are `padding` elements longer than what they hold.
/// The padding is NaN, and poisoned under AddressSanitizer: a kernel that reads it gives NaN or dies, one
/// that writes it is found by `intact`.
class Rows {
 public:
  Rows(const at::Tensor& values, std::int64_t padding)
      : rows_(values.size(0)), width_(values.size(1)), stride_(width_ + padding), options_(values.options()) {
    const auto bytes = size();
    data_ = static_cast<char*>(std::malloc(bytes));
    std::memset(data_, 0xff, bytes);
    view().copy_(values);
    protect(true);
  }
  /// Unwritten rows: all NaN.
  Rows(std::int64_t rows, std::int64_t width, at::ScalarType type, std::int64_t padding)
      : Rows(at::full({rows, width}, NAN, type), padding) {}
  ~Rows() {
    protect(false);
    std::free(data_);
  }
  Rows(const Rows&) = delete;
  Rows& operator=(const Rows&) = delete;

  void* data() { return data_; }
  std::int64_t stride() const { return stride_; }
  at::Tensor values() {
    protect(false);
    auto copy = view().clone();
    protect(true);
    return copy;
  }
  bool intact() {
    protect(false);
    const auto element = static_cast<std::int64_t>(options_.dtype().itemsize());
    bool intact = true;
    for (std::int64_t r = 0; r < rows_; ++r) {
      for (std::int64_t i = width_ * element; i < stride_ * element; ++i)
        intact &= data_[r * stride_ * element + i] == static_cast<char>(0xff);
    }
    protect(true);
    return intact;
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(rows_ * stride_) * options_.dtype().itemsize(); }
  at::Tensor view() { return at::from_blob(data_, {rows_, width_}, {stride_, 1}, options_); }
  void protect([[maybe_unused]] bool on) {
#if defined(__SANITIZE_ADDRESS__)
    const std::size_t element = options_.dtype().itemsize();
    for (std::int64_t r = 0; r < rows_; ++r) {
      const char* padding = data_ + static_cast<std::size_t>(r * stride_ + width_) * element;
      const std::size_t bytes = static_cast<std::size_t>(stride_ - width_) * element;
      if (on)
        __asan_poison_memory_region(padding, bytes);
      else
        __asan_unpoison_memory_region(padding, bytes);
    }
#endif
  }

  std::int64_t rows_, width_, stride_;
  at::TensorOptions options_;
  char* data_ = nullptr;
};

#ifdef EMULATOR_TSAN
// Twenty times slower, but exact: what a barrier orders does not depend on who ran first.
inline constexpr std::span<const emulator::Schedule> kTestedSchedules(emulator::kSchedules + 2, 1);
#else
inline constexpr std::span<const emulator::Schedule> kTestedSchedules(emulator::kSchedules);
#endif

/// Runs `body` under every schedule.
template <class Body>
void under_each_schedule(const std::string& what, Body body) {
  for (const auto& schedule : kTestedSchedules) {
    SCOPED_TRACE(what + ", schedule " + schedule.name);
    const emulator::ScopedSchedule scoped(schedule);
    body();
  }
}

}  // namespace switchyard::kernels::cuda

// Inputs and comparisons shared by the tests of the operations.
#pragma once

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace switchyard::kernels {

/// Standard normal numbers, a function of shape and seed.
inline at::Tensor random(at::IntArrayRef shape, uint64_t seed, at::ScalarType dtype = at::kFloat) {
  return at::randn(shape, at::detail::createCPUGenerator(seed)).to(dtype);
}

/// max |actual - expected| / max |expected|, in double; infinite for another shape or a value that is not
/// finite.
inline double relative_error(const at::Tensor& actual, const at::Tensor& expected) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (actual.sizes() != expected.sizes()) return kInfinite;
  if (expected.numel() == 0) return 0;
  const auto a = actual.detach().cpu().to(at::kDouble), e = expected.detach().cpu().to(at::kDouble);
  const double difference = (a - e).abs().max().item<double>();
  if (difference == 0) return 0;
  const double error = difference / e.abs().max().item<double>();
  return std::isfinite(error) ? error : kInfinite;
}

inline ::testing::AssertionResult near(const at::Tensor& actual, const at::Tensor& expected, double limit) {
  const double error = relative_error(actual, expected);
  if (error <= limit) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "relative error " << error << ", limit " << limit << "; shapes "
                                       << actual.sizes() << " and " << expected.sizes();
}

/// Equal dtype, shape and values, bit for bit (no NaN).
inline ::testing::AssertionResult same_bits(const at::Tensor& actual, const at::Tensor& expected) {
  if (actual.scalar_type() == expected.scalar_type() && at::equal(actual.cpu(), expected.cpu()))
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "differs by " << relative_error(actual, expected) << " (relative); " << actual.scalar_type()
         << actual.sizes() << " and " << expected.scalar_type() << expected.sizes();
}

/// Tables of cases run on every device of this list. GPU cases skip, visibly, where libtorch has no GPU.
class OnDevice : public ::testing::TestWithParam<at::DeviceType> {
 protected:
  void SetUp() override {
    if (GetParam() == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no GPU";
  }
  static at::DeviceType device() { return GetParam(); }
};

inline std::string device_name(const ::testing::TestParamInfo<at::DeviceType>& instance) {
  return at::DeviceTypeName(instance.param);
}

#define ON_EVERY_DEVICE(suite) \
  INSTANTIATE_TEST_SUITE_P(Devices, suite, ::testing::Values(at::kCPU, at::kCUDA), device_name)

}  // namespace switchyard::kernels

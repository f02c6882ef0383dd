// The fixtures of parity_case.h on every device and in bf16: the packed model's forward against the numbers
// of the official code in fp32.
//
// The error here is the length of the difference over the length of the expected output, not the worst
// number: in bf16 a token near a tie takes another expert than in fp32, which is right for it and wrong for
// the number.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "dit/checkpoint.h"
#include "parity_case.h"

namespace switchyard::dit {
namespace {

struct Numbers {
  const char* name;
  at::DeviceType device;
  at::ScalarType dtype;
  double limit;
};

constexpr Numbers kNumbers[] = {{"CPU_bf16", at::kCPU, at::kBFloat16, 1e-1},
                                {"CUDA_fp32", at::kCUDA, at::kFloat, 1e-3},
                                {"CUDA_bf16", at::kCUDA, at::kBFloat16, 1e-1}};

class DeviceParity : public ::testing::TestWithParam<std::tuple<CaseName, Numbers>> {};

std::string case_name(const ::testing::TestParamInfo<DeviceParity::ParamType>& instance) {
  const auto& [name, numbers] = instance.param;
  return test_name({name, instance.index}) + "_" + numbers.name;
}

INSTANTIATE_TEST_SUITE_P(All, DeviceParity,
                         ::testing::Combine(::testing::ValuesIn(parity_cases()),
                                            ::testing::ValuesIn(kNumbers)),
                         case_name);

void PrintTo(const Numbers& numbers, std::ostream* out) { *out << numbers.name; }

double relative_length(const at::Tensor& actual, const at::Tensor& expected) {
  const auto a = actual.cpu().to(at::kDouble), e = expected.to(at::kDouble);
  if (a.sizes() != e.sizes()) return HUGE_VAL;
  const double error = ((a - e).norm() / e.norm()).item<double>();
  return std::isfinite(error) ? error : HUGE_VAL;
}

TEST_P(DeviceParity, Forward) {
  const auto& [name, numbers] = GetParam();
  if (numbers.device == at::kCUDA && !at::hasCUDA()) GTEST_SKIP() << "no GPU";
  if (numbers.device == at::kCPU && !kernels::has_bf16_products())
    GTEST_SKIP() << "no bf16 products on this processor";
  const at::NoGradGuard no_grad;
  const auto c = ParityCase::load(name);
  DiffusionTransformer model(c.config, at::device(numbers.device).dtype(numbers.dtype));
  load_state(model, c.weights, c.name);
  model.pack();
  const auto here = [&](const char* tensor) { return c.recorded(tensor).to(numbers.device); };
  const auto& expected = c.recorded("out");
  const auto answer = model.forward(here("x"), here("t"), here("y"));
  const double error = relative_length(recorded_channels(answer, expected), expected);
  std::printf("%s %s: forward, relative length of the error %.2g (limit %.0e)\n", c.name.c_str(),
              numbers.name, error, numbers.limit);
  EXPECT_LE(error, numbers.limit);
}

}  // namespace
}  // namespace switchyard::dit

#include "kernels/linear/product_library.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "kernels/linear/linear.h"

namespace switchyard::kernels {
namespace {

constexpr double kClearly = 1.25;  // times as fast: beyond what a busy machine makes of equal ones

template <class Work>
double seconds(const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

LibraryMeasurement measure_libraries(at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kRows = 256, kIn = 320, kOut = 1280;  // not 384, which linear.cc may cut in two
  const auto generator = at::detail::createCPUGenerator(0);
  const auto x = at::randn({kRows, kIn}, generator).to(dtype);
  const auto weight = at::randn({kOut, kIn}, generator).to(dtype);
  const PackedLinear onednn(weight, {}, Products::in_dtype, ProductLibrary::onednn);
  const PackedLinear plain(weight, {}, Products::in_dtype, ProductLibrary::at_linear);

  constexpr double kNever = std::numeric_limits<double>::infinity();
  // With tiles they do not stand alone, although few of the numbers of rows tell.
  LibraryMeasurement measured{kNever, kNever, !(dtype == at::kBFloat16 && has_bf16_tiles())};
  for (int repetition = 0; repetition < 6; ++repetition) {  // in turn: both meet the same neighbours
    measured.onednn_seconds = std::min(measured.onednn_seconds, seconds([&] { onednn(x); }));
    measured.at_linear_seconds = std::min(measured.at_linear_seconds, seconds([&] { plain(x); }));
  }
  const auto all = plain(x);
  for (const int64_t rows : {1, 2, 3, 7, 8, 16, 31, 64, 100}) {
    if (!at::equal(plain(x.narrow(0, 0, rows)), all.narrow(0, 0, rows)))
      measured.at_linear_rows_stand_alone = false;
  }
  return measured;
}

ProductLibrary choose_library(const LibraryMeasurement& measured) {
  const bool clearly_faster = measured.at_linear_seconds * kClearly < measured.onednn_seconds;
  return clearly_faster && measured.at_linear_rows_stand_alone ? ProductLibrary::at_linear
                                                               : ProductLibrary::onednn;
}

ProductLibrary product_library(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) {
    static const auto bf16 = choose_library(measure_libraries(at::kBFloat16));
    return bf16;
  }
  static const auto fp32 = choose_library(measure_libraries(at::kFloat));
  return fp32;
}

}  // namespace switchyard::kernels

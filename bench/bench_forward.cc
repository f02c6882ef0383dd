// How fast the guided forward of DiT-MoE S/2-8E2A at 256x256 is, in fp32 and bf16.
//
// Prints the packed form beside the plain at::linear form and beside this machine's best measured matrix
// product of the same dtype, all in one run: plain and packed in turn, the median of several repetitions.
// Random weights; one image, both halves.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>

#include "dit/transformer.h"
#include "timing.h"

namespace {

using namespace switchyard;

using timing::median, timing::seconds;

// Multiply-adds count as two; what one image's tokens pass through, both guidance halves apart.
double forward_flop(const dit::ModelConfig& c) {
  const double d = static_cast<double>(c.hidden_size), tokens = static_cast<double>(c.tokens());
  const double patch = static_cast<double>(c.patch_size * c.patch_size);
  const double experts = 3 * d * static_cast<double>(c.experts_per_token * c.expert_hidden + c.shared_hidden);
  const double per_token = 4 * d * d + 2 * tokens * d + d * static_cast<double>(c.num_experts) + experts;
  const double ends = patch * d * static_cast<double>(c.in_channels + c.out_channels());
  const double per_image = static_cast<double>(c.depth) * 6 * d * d + 2 * d * d + 256 * d + d * d;
  return 2 * (tokens * (static_cast<double>(c.depth) * per_token + ends) + per_image);
}

// The best product of the library on shapes like the model's: GFLOP/s.
double best_product(at::ScalarType dtype) {
  double best = 0;
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{512, 384, 1536},
                                {512, 1536, 384},
                                {1024, 384, 3072},
                                {1024, 1024, 1024},
                                {2048, 2048, 2048}}) {
    const auto x = at::randn({m, k}).to(dtype), w = at::randn({n, k}).to(dtype);
    const kernels::PackedLinear packed(w, {});
    std::vector<double> times_mm, times_packed;
    for (int i = 0; i < 9; ++i) {
      times_mm.push_back(seconds([&] { kernels::linear_reference(x, w, {}); }));
      times_packed.push_back(seconds([&] { packed(x); }));
    }
    const double fastest = std::min(median(times_mm), median(times_packed));
    best = std::max(best, 2e-9 * static_cast<double>(m * k * n) / fastest);
  }
  return best;
}

void bench(at::ScalarType dtype, int repetitions) {
  const auto config = dit::preset("dit-moe-s/2-8e2a");
  const auto options = at::TensorOptions().dtype(dtype);
  dit::DiffusionTransformer plain(config, options), packed(config, options);
  const auto generator = at::detail::createCPUGenerator(0);
  auto plain_parameters = plain.parameters(), packed_parameters = packed.parameters();
  for (size_t i = 0; i < plain_parameters.size(); ++i) {
    plain_parameters[i].tensor->normal_(0.0, 0.04, generator);
    *packed_parameters[i].tensor = *plain_parameters[i].tensor;
  }
  packed.pack();

  const auto x = at::randn({1, 4, 32, 32}, generator).repeat({2, 1, 1, 1});
  const auto t = at::full({2}, 0.5);
  const auto y = at::tensor({207, 1000}, at::kLong);
  at::Tensor out_plain, out_packed;
  std::vector<double> times_plain, times_packed;
  for (int i = 0; i <= repetitions; ++i) {
    const double a = seconds([&] { out_plain = plain.forward(x, t, y); });
    const double b = seconds([&] { out_packed = packed.forward(x, t, y); });
    if (i == 0) continue;  // warm-up
    times_plain.push_back(a);
    times_packed.push_back(b);
  }
  const double gflop = 2e-9 * forward_flop(config);
  const double peak = best_product(dtype);
  const double error = ((out_plain - out_packed).abs().max() / out_plain.abs().max()).item<double>();
  const auto row = [&](const char* form, double time) {
    std::printf("%-5s %-18s %8.1f ms %8.1f GFLOP/s %6.1f %% of %.0f\n", dtype == at::kFloat ? "fp32" : "bf16",
                form, 1e3 * time, gflop / time, 100 * gflop / time / peak, peak);
  };
  row("plain at::linear", median(times_plain));
  row("packed", median(times_packed));
  std::printf("%-5s packed is %.2fx as fast; largest difference %.1e of the largest output\n\n",
              dtype == at::kFloat ? "fp32" : "bf16", median(times_plain) / median(times_packed), error);
}

}  // namespace

int main() {
  const at::NoGradGuard no_grad;
  const auto config = dit::preset("dit-moe-s/2-8e2a");
  std::printf("Guided forward of DiT-MoE S/2-8E2A at 256x256: %.1f GFLOP, %d threads\n\n",
              2e-9 * forward_flop(config), at::get_num_threads());
  bench(at::kFloat, 9);
  if (kernels::has_bf16_products()) {
    bench(at::kBFloat16, 9);
  } else {
    std::printf("bf16  skipped: this processor has no bf16 products\n");
  }
}

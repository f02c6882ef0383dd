// How fast one guided forward pass at 256x256 is (one image, both halves), for one model of each kind.
//
//   bench_forward [PART OF A MODEL'S NAME [fp32|bf16|int8]]
//
// Each row is a share of this machine's best measured product of the same numbers, taken in the same run, and
// stands beside the plain at::linear form: plain and packed in turn, medians. Weights are random. Run it on
// an idle machine; bench/pytorch_plain.py times the same models in PyTorch.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "dit/transformer.h"
#include "kernels/side_by_side.h"
#include "timing.h"
#include "work.h"

namespace {

using namespace switchyard;

using kernels::Products;
using timing::median, timing::seconds;

struct Case {
  const char* preset;
  int64_t depth;  // 0: all blocks
  const char* name;
};
constexpr Case kCases[] = {
    {"dit-moe-s/2-8e2a", 0, "DiT-MoE S/2-8E2A"},
    {"dit-moe-xl/2-8e2a", 1, "DiT-MoE XL/2-8E2A, one block"},
    {"switch-dit-s/2", 0, "Switch-DiT S/2"},
    {"dit-s/2", 0, "DiT S/2"},
};

struct Numbers {
  const char* name;
  at::ScalarType dtype;
  Products products;
};
constexpr Numbers kNumbers[] = {{"fp32", at::kFloat, Products::in_dtype},
                                {"bf16", at::kBFloat16, Products::in_dtype},
                                {"int8", at::kBFloat16, Products::int8}};

// The best product of the library on shapes like the models': GFLOP/s.
double best_product(const Numbers& numbers) {
  double best = 0;
  for (const auto& [m, k, n] : {std::array<int64_t, 3>{512, 384, 1536},
                                {512, 1536, 384},
                                {1024, 384, 3072},
                                {1024, 1024, 1024},
                                {2048, 2048, 2048}}) {
    const auto x = at::randn({m, k}).to(numbers.dtype), w = at::randn({n, k}).to(numbers.dtype);
    const auto fastest = [](const auto& multiply) {
      std::vector<double> times;
      for (int i = 0; i < 9; ++i) times.push_back(seconds(multiply));
      return median(times);
    };
    double time;
    if (numbers.products == Products::int8) {
      const kernels::Int8Linear layer(w, {});
      const auto rows = kernels::quantise_rows(x);
      time = fastest([&] { layer.product(rows); });
    } else {
      const kernels::PackedLinear packed(w, {});
      const auto each_core_its_own = [&] {
        kernels::side_by_side(at::get_num_threads(), [&](int64_t) { packed(x); });
      };
      time = std::min({fastest([&] { kernels::linear_reference(x, w, {}); }), fastest([&] { packed(x); }),
                       fastest(each_core_its_own) / at::get_num_threads()});
    }
    best = std::max(best, 2e-9 * static_cast<double>(m * k * n) / time);
  }
  return best;
}

// Peak memory of this process since the last call, MB; 0 where the kernel does not say.
double peak_memory() {
  std::ifstream status("/proc/self/status");
  std::string line;
  double peak = 0;
  while (std::getline(status, line))
    if (line.starts_with("VmHWM:")) peak = std::stod(line.substr(6)) / 1024;
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  return peak;
}

dit::DiffusionTransformer random_model(const dit::ModelConfig& config, at::ScalarType dtype) {
  dit::DiffusionTransformer model(config, at::TensorOptions().dtype(dtype));
  const auto generator = at::detail::createCPUGenerator(0);
  for (const auto& parameter : model.parameters()) parameter.tensor->normal_(0.0, 0.04, generator);
  return model;
}

void bench(const Case& which, const Numbers& numbers, double peak) {
  auto config = dit::preset(which.preset);
  if (which.depth > 0) config.depth = which.depth;
  const auto generator = at::detail::createCPUGenerator(1);
  const auto x = at::randn({1, 4, 32, 32}, generator).repeat({2, 1, 1, 1});
  const auto t = config.integer_timesteps() ? at::full({2}, 500.0) : at::full({2}, 0.5);
  const auto y = at::tensor({207, 1000}, at::kLong);
  // As a session does it: what depends on time and class once for all steps, then one half of guidance per
  // core, where there are two.
  const auto guided = [&](const dit::DiffusionTransformer& model, const dit::Condition& condition,
                          const dit::RoutingTape& tape = {}) {
    const int64_t pieces = std::min(2, at::get_num_threads()), count = 2 / pieces;
    std::vector<at::Tensor> halves(pieces);
    kernels::side_by_side(pieces, [&](int64_t i) {
      halves[i] = model.forward(x.narrow(0, i * count, count), condition.narrow(i * count, count), {},
                                tape.narrow(i * count, count));
    });
    return at::cat(halves);
  };

  peak_memory();
  auto packed = random_model(config, numbers.dtype);
  packed.pack({numbers.products});
  const auto condition = packed.condition(t, y);
  auto out_packed = guided(packed, condition);
  const double memory = peak_memory();
  const auto tape = dit::RoutingTape::allocate(config, 2, /*with_probabilities=*/true, at::kCPU);

  const auto plain = random_model(config, numbers.dtype);
  at::Tensor out_plain;
  std::vector<double> times_plain, times_packed, times_recorded;
  constexpr int kRepetitions = 9;
  for (int i = 0; i <= kRepetitions; ++i) {
    const double a = seconds([&] { out_plain = guided(plain, plain.condition(t, y)); });
    const double b = seconds([&] { out_packed = guided(packed, condition); });
    const double c = seconds([&] { guided(packed, condition, tape); });
    if (i == 0) continue;  // warm-up
    times_recorded.push_back(c);
    times_plain.push_back(a);
    times_packed.push_back(b);
  }
  const double gflop = 2e-9 * forward_flop(config);
  const double error = ((out_plain - out_packed).abs().max() / out_plain.abs().max()).item<double>();
  const double time = median(times_packed), plain_time = median(times_plain);
  std::printf(
      "%-28s %-4s %6.1f %8.1f ms %7.1f GFLOP/s %5.1f %% of %.0f   plain %s %8.1f ms, %.2fx   recorded %+.1f %%   "
      "%5.0f MB   %.1e\n",
      which.name, numbers.name, gflop, 1e3 * time, gflop / time, 100 * gflop / time / peak, peak,
      numbers.dtype == at::kFloat ? "fp32" : "bf16", 1e3 * plain_time, plain_time / time,
      100 * (median(times_recorded) / time - 1), memory, error);
}

}  // namespace

int main(int argc, char** argv) {
  const at::NoGradGuard no_grad;
  const std::string wanted = argc > 1 ? argv[1] : "", wanted_numbers = argc > 2 ? argv[2] : "";
  std::printf(
      "Guided forward at 256x256, one image, %d threads: work in GFLOP, time, rate, share of the best "
      "product\n"
      "of such numbers; the plain at::linear form and how many times faster; what recording all routing costs; peak memory; largest "
      "difference\n"
      "of the largest output\n\n",
      at::get_num_threads());
  for (const auto& numbers : kNumbers) {
    if (std::string(numbers.name).find(wanted_numbers) == std::string::npos) continue;
    if (!kernels::has_products(numbers.dtype, numbers.products)) {
      std::printf("%s skipped: this processor has no such products\n", numbers.name);
      continue;
    }
    if (numbers.products == Products::in_dtype) {
      std::printf("%s  products by %s\n", numbers.name,
                  std::string(to_string(kernels::product_library(numbers.dtype))).c_str());
    }
    const double peak = best_product(numbers);
    for (const auto& which : kCases)
      if (std::string(which.name).find(wanted) != std::string::npos) bench(which, numbers, peak);
    std::printf("\n");
  }
}

// How fast an image is decoded at the size of the Stable Diffusion VAE, in fp32 and bf16, in both memory
// formats.
//
// bench_vae [SIDE]: the image's side, 256 by default (622 GFLOP). Random weights; the forms in turn, the
// median of several repetitions, beside this machine's best measured matrix product of the same dtype in the
// same run.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#include "timing.h"
#include "vae/autoencoder.h"

namespace {

using namespace switchyard;

using timing::median, timing::seconds;

vae::Autoencoder random_autoencoder(at::ScalarType dtype, at::MemoryFormat format) {
  const auto generator = at::detail::createCPUGenerator(0);
  const auto source = [&](const std::string& name, at::IntArrayRef shape) {
    const auto values = at::randn(shape, generator);
    if (shape.size() == 1) return name.ends_with(".weight") ? 1 + 0.1 * values : 0.1 * values;
    return values * std::sqrt(static_cast<double>(shape[0]) / static_cast<double>(values.numel()));
  };
  return vae::Autoencoder({}, source, {.dtype = dtype, .format = format});
}

// The best of the library's own products of two square matrices: GFLOP/s.
double best_product(at::ScalarType dtype) {
  double best = 0;
  for (const int64_t side : {1024, 2048}) {
    const auto x = at::randn({side, side}).to(dtype), w = at::randn({side, side}).to(dtype);
    std::vector<double> times;
    for (int i = 0; i < 9; ++i) times.push_back(seconds([&] { at::mm(x, w); }));
    best = std::max(best, 2e-9 * std::pow(static_cast<double>(side), 3) / median(times));
  }
  return best;
}

void bench(at::ScalarType dtype, int64_t latent_side, int repetitions) {
  const char* name = dtype == at::kFloat ? "fp32" : "bf16";
  const auto contiguous = random_autoencoder(dtype, at::MemoryFormat::Contiguous);
  const auto channels_last = random_autoencoder(dtype, at::MemoryFormat::ChannelsLast);
  const auto latents = at::randn({1, 4, latent_side, latent_side}, at::detail::createCPUGenerator(1));
  const auto plan = vae::plan_decode(contiguous.config(), 1, latent_side, latent_side, dtype, 0, 2 << 20);
  vae::DecodeOptions in_bands;
  in_bands.memory_limit = 1;
  in_bands.band_bytes = 2 << 20;  // at 256x256 larger ones would need more memory than the whole

  struct Form {
    const char* name;
    const vae::Autoencoder* autoencoder;
    vae::DecodeOptions options;
    std::vector<double> times = {};
  };
  std::vector<Form> forms{{"contiguous", &contiguous, {}},
                          {"channels-last", &channels_last, {}},
                          {"channels-last, in bands", &channels_last, in_bands}};
  for (int i = 0; i <= repetitions; ++i) {
    for (auto& form : forms) {
      const double time = seconds([&] { form.autoencoder->decode(latents, form.options); });
      if (i > 0) form.times.push_back(time);  // the first is the warm-up
    }
  }
  const double gflop = 1e-9 * plan.flop, peak = best_product(dtype);
  for (const auto& form : forms) {
    const double time = median(form.times);
    std::printf("%s %-24s %8.1f ms %8.1f GFLOP/s (at::mm: %.0f)\n", name, form.name, 1e3 * time, gflop / time,
                peak);
  }
  std::printf("%s memory: %.0f MiB, in bands %.0f MiB (estimates)\n\n", name,
              static_cast<double>(plan.whole_bytes) / (1 << 20),
              static_cast<double>(plan.banded_bytes) / (1 << 20));
}

}  // namespace

int main(int count, char** arguments) {
  const at::NoGradGuard no_grad;
  const int64_t side = count > 1 ? std::atoll(arguments[1]) : 256;
  if (side < 8 || side > 4096 || side % 8 != 0) {
    std::fprintf(stderr, "usage: bench_vae [SIDE]: a multiple of 8 from 8 to 4096\n");
    return 2;
  }
  const auto plan = vae::plan_decode({}, 1, side / 8, side / 8, at::kFloat, 0);
  std::printf("Decode of %ldx%ld at Stable Diffusion's size: %.1f GFLOP, %d threads\n\n",
              static_cast<long>(side), static_cast<long>(side), 1e-9 * plan.flop, at::get_num_threads());
  bench(at::kFloat, side / 8, 5);
  bench(at::kBFloat16, side / 8, 5);
}

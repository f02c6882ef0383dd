// What fewer bits cost and save in images: fp32, bf16 and int8 side by side on one model.
//
//   bench_precision [MODEL [GRID.png [SEEDS]]]      default: the embedded model, no picture, 100 seeds
//
// Draws the same (class, seed) pairs, guidance 1.5 and 25 Euler steps, with each kind of numbers, and prints
// images per second and the difference of pixels (0 .. 255), mean over all images and worst pixel. The
// picture shows 12 pairs, not picked: class i mod classes, seed i; a row each of fp32, bf16 and int8.
#include <ATen/ATen.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "assets/embedded_model.h"
#include "dit/model_file.h"
#include "io/png.h"
#include "figures/canvas.h"
#include "pipeline/session.h"
#include "timing.h"

namespace {

using namespace switchyard;
using kernels::Products;

constexpr int64_t kShown = 12;

struct Drawn {
  const char* name;
  std::vector<at::Tensor> images;  // [H, W, C] uint8
  double seconds;
};

Drawn draw(const char* name, const dit::ModelFile& file, at::ScalarType dtype, Products products,
           int64_t seeds) {
  auto model = dit::make_model(file, dtype);
  model.pack({products});
  pipeline::Request request;
  request.settings.guidance.scale = 1.5;
  pipeline::Session session(std::move(model));
  for (int64_t i = 0; i < seeds; ++i)
    request.images.push_back({i % session.config().num_classes, static_cast<uint64_t>(i)});
  Drawn drawn{name, {}, 0};
  pipeline::Observer observer;
  observer.image_finished = [&](const pipeline::ImageFinished& done) {
    drawn.images.push_back(done.pixels);
    return true;
  };
  drawn.seconds = timing::seconds([&] { session.draw(request, observer); });
  return drawn;
}

void print_difference(const Drawn& a, const Drawn& b) {
  double sum = 0, worst = 0;
  std::vector<double> means;
  for (size_t i = 0; i < a.images.size(); ++i) {
    const auto difference = (a.images[i].to(at::kFloat) - b.images[i].to(at::kFloat)).abs();
    means.push_back(difference.mean().item<double>());
    worst = std::max(worst, difference.max().item<double>());
    sum += means.back();
  }
  std::printf(
      "%s to %s: mean difference %.2f of 255, of the median image %.2f, of the worst image %.2f; worst "
      "pixel %.0f\n",
      a.name, b.name, sum / static_cast<double>(means.size()), timing::median(means),
      *std::ranges::max_element(means), worst);
}

at::Tensor side_by_side(const std::vector<Drawn>& all) {
  constexpr int64_t kZoom = 2, kGap = 4, kLabel = 56;
  const auto& first = all.front().images.front();
  const int64_t height = first.size(0) * kZoom, width = first.size(1) * kZoom;
  const auto columns = std::min<int64_t>(kShown, static_cast<int64_t>(all.front().images.size()));
  figures::Canvas canvas(kLabel + columns * (width + kGap),
                          static_cast<int64_t>(all.size()) * (height + kGap) - kGap);
  for (size_t row = 0; row < all.size(); ++row) {
    const auto y = static_cast<int64_t>(row) * (height + kGap);
    canvas.text(10, static_cast<double>(y + height / 2 + 5), all[row].name, {.size = 15});
    for (int64_t i = 0; i < columns; ++i)
      canvas.draw(kLabel + i * (width + kGap), y, figures::resized(all[row].images[i], height, width));
  }
  return canvas.pixels();
}

}  // namespace

int main(int argc, char** argv) try {
  const at::NoGradGuard no_grad;
  const auto file = argc > 1 ? dit::open_model(argv[1])
                             : dit::open_model(assets::embedded_model(), assets::kEmbeddedModelName);
  const int64_t seeds = argc > 3 ? std::stoll(argv[3]) : 100;
  std::vector<Drawn> all;
  all.push_back(draw("fp32", file, at::kFloat, Products::in_dtype, seeds));
  if (kernels::has_bf16_products())
    all.push_back(draw("bf16", file, at::kBFloat16, Products::in_dtype, seeds));
  if (kernels::has_int8_products()) all.push_back(draw("int8", file, at::kBFloat16, Products::int8, seeds));
  for (const auto& drawn : all)
    std::printf("%s: %.1f images/s\n", drawn.name, static_cast<double>(seeds) / drawn.seconds);
  for (size_t i = 0; i < all.size(); ++i)
    for (size_t j = i + 1; j < all.size(); ++j) print_difference(all[i], all[j]);
  if (argc > 2) io::write_png(argv[2], side_by_side(all));
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_precision: %s\n", error.what());
  return 1;
}

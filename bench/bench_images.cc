// Times what reading images for the metrics costs on one core: decoding and resizing.
#include <ATen/ATen.h>

#include <cstdio>
#include <limits>

#include "data/resize.h"
#include "data/solids.h"
#include "io/image.h"
#include "io/png.h"
#include "timing.h"

namespace {

using namespace switchyard;

void report(const char* what, const std::function<void()>& run) {
  constexpr int kRounds = 7, kCalls = 20;
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRounds; ++i)
    best = std::min(best, timing::seconds([&] {
                      for (int j = 0; j < kCalls; ++j) run();
                    }));
  std::printf("%-44s %8.3f ms\n", what, 1e3 * best / kCalls);
}

}  // namespace

int main(int count, char** files) {
  for (const int size : {64, 256, 512}) {
    const at::Tensor image = at::empty({size, size, 3}, at::kByte);
    data::render_solid(data::Split::train, 3, size,
                       {image.mutable_data_ptr<std::uint8_t>(), static_cast<std::size_t>(image.numel())});
    const auto line = [&](const char* what) { return c10::str(size, " x ", size, ": ", what); };
    report(line("uint8 bicubic to 299 x 299").c_str(),
           [&] { data::resized(image, 299, 299, data::Filter::bicubic); });
    report(line("uint8 lanczos to 224 x 224").c_str(),
           [&] { data::resized(image, 224, 224, data::Filter::lanczos); });
    report(line("fp32 bicubic to 299 x 299").c_str(),
           [&] { data::resized_float(image, 299, 299, data::Filter::bicubic); });
    report(line("centre crop to 64").c_str(), [&] { data::center_crop(image, 64); });
  }
  for (int i = 1; i < count; ++i) report(files[i], [&] { io::read_image(files[i]); });
}

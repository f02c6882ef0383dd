#include "metrics/input.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "io/tensor_problems.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kChannels = 3;

struct Tap {
  int64_t low, high;
  float weight;  // of `high`
};

// In float, as both libraries compute them.
std::vector<Tap> taps(int64_t in, int64_t out, Sampling sampling) {
  const float scale = static_cast<float>(in) / static_cast<float>(out);
  std::vector<Tap> all;
  for (int64_t i = 0; i < out; ++i) {
    const float position = sampling == Sampling::corners
                               ? static_cast<float>(i) * scale
                               : std::max((static_cast<float>(i) + 0.5f) * scale - 0.5f, 0.0f);
    const auto low = std::min(static_cast<int64_t>(position), in - 1);
    all.push_back({low, std::min(low + 1, in - 1), position - static_cast<float>(low)});
  }
  return all;
}

// Rows first; a row of the input is stretched once, however many rows of the output lie on it.
void resize_bilinear(const at::Tensor& image, int64_t side, Sampling sampling, const Range& range,
                     float* out) {
  const auto pixels = image.contiguous();
  const int64_t height = pixels.size(0), width = pixels.size(1), row = side * kChannels;
  const auto down = taps(height, side, sampling), across = taps(width, side, sampling);
  std::vector<float> stretched[2] = {std::vector<float>(static_cast<size_t>(row)),
                                     std::vector<float>(static_cast<size_t>(row))};
  int64_t held[2] = {-1, -1};  // which rows of the input
  const auto stretch = [&](int64_t y, int64_t other) -> const std::vector<float>& {
    if (held[0] == y || held[1] == y) return stretched[held[1] == y];
    const int slot = held[0] == other && other >= 0;  // not over the row that is needed beside it
    const auto* in = pixels.const_data_ptr<uint8_t>() + y * width * kChannels;
    float* to = stretched[slot].data();
    for (const auto& tap : across) {
      for (int64_t c = 0; c < kChannels; ++c) {
        const float low = in[tap.low * kChannels + c], high = in[tap.high * kChannels + c];
        *to++ = (low + (high - low) * tap.weight) * range.scale[static_cast<size_t>(c)] +
                range.shift[static_cast<size_t>(c)];
      }
    }
    held[slot] = y;
    return stretched[slot];
  };
  for (int64_t y = 0; y < side; ++y) {
    const auto& tap = down[static_cast<size_t>(y)];
    const float* low = stretch(tap.low, tap.high).data();
    const float* high = stretch(tap.high, tap.low).data();
    float* to = out + y * row;
    for (int64_t i = 0; i < row; ++i) to[i] = low[i] + (high[i] - low[i]) * tap.weight;
  }
}

}  // namespace

Range Range::imagenet() {
  constexpr std::array mean = {0.485, 0.456, 0.406}, deviation = {0.229, 0.224, 0.225};
  Range range;
  for (size_t c = 0; c < 3; ++c) {
    range.scale[c] = static_cast<float>(1 / (255 * deviation[c]));
    range.shift[c] = static_cast<float>(-mean[c] / deviation[c]);
  }
  return range;
}

void require_pictures(at::ArrayRef<at::Tensor> images) {
  for (size_t i = 0; i < images.size(); ++i) {
    const auto& image = images[i];
    if (image.defined() && image.is_cpu() && image.scalar_type() == at::kByte && image.dim() == 3 &&
        image.size(2) == kChannels && image.numel() > 0)
      continue;
    throw std::invalid_argument(
        "image " + std::to_string(i) + " of a batch: expected uint8 [height, width, 3] on the CPU, got " +
        (image.defined() ? toString(image.scalar_type()) + (" " + io::shape_text(image.sizes()))
                         : "nothing"));
  }
}

at::Tensor bilinear_batch(at::ArrayRef<at::Tensor> images, int64_t side, Sampling sampling,
                          const Range& range) {
  require_pictures(images);
  auto batch = at::empty({static_cast<int64_t>(images.size()), side, side, kChannels}, at::kFloat);
  at::parallel_for(0, batch.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      resize_bilinear(images[static_cast<size_t>(i)], side, sampling, range,
                      batch.mutable_data_ptr<float>() + i * batch.stride(0));
  });
  return batch.permute({0, 3, 1, 2});
}

at::Tensor resized_batch(at::ArrayRef<at::Tensor> images, int64_t side,
                         const std::function<at::Tensor(const at::Tensor&)>& resize, const Range& range) {
  require_pictures(images);
  auto batch = at::empty({static_cast<int64_t>(images.size()), side, side, kChannels}, at::kFloat);
  at::parallel_for(0, batch.size(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) batch[i].copy_(resize(images[static_cast<size_t>(i)]));
  });
  batch.mul_(at::tensor(range.scale)).add_(at::tensor(range.shift));
  return batch.permute({0, 3, 1, 2});
}

}  // namespace switchyard::metrics

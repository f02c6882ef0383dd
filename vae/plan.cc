#include "vae/plan.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

namespace switchyard::vae {
namespace {

// Walks through the decoder as layers.cc runs it, with sizes in place of tensors. In double: exact up to
// 2^53, and without overflow.
class Walk {
 public:
  Walk(double height, double width, double element_size, bool banded)
      : height_(height), width_(width), element_size_(element_size), banded_(banded) {}

  void convolution(double in, double out, double side) {
    flop += 2 * side * side * in * out * positions();
    largest_weight = std::max(largest_weight, side * side * in * out * element_size_);
    widest_row = std::max(widest_row, std::max(in, out) * width_ * element_size_);
  }

  void plain_convolution(double in, double out, double side) {
    convolution(in, out, side);
    live(banded_ ? std::max(in, out) : in + out);
  }

  void resnet(double in, double out) {
    convolution(in, out, 3);
    live(banded_ ? in + out : 2 * in + out);  // x, its normalised form, h
    if (in != out) {
      convolution(in, out, 1);
      live(banded_ ? std::max(in, out) + out : in + 2 * out);  // x, h, the new x
    }
    convolution(out, out, 3);
    live(banded_ ? 2 * out : 4 * out);  // x, h, its normalised form, y
  }

  void attention(double channels) {
    flop += 8 * positions() * channels * channels + 4 * positions() * positions() * channels;
    live(7 * channels);  // x, its normalised form, query, key, value, the mixed values, y
  }

  void upsample(double channels) {
    const double before = banded_ ? 0 : channels * positions();
    height_ *= 2;
    width_ *= 2;
    convolution(channels, channels, 3);
    peak = std::max(peak, (before + (banded_ ? 1 : 2) * channels * positions()) * element_size_);
  }

  void end(double in, double out) {
    convolution(in, out, 3);
    live(banded_ ? in + out : 2 * in + out);
  }

  double positions() const { return height_ * width_; }

  double flop = 0, peak = 0, largest_weight = 0, widest_row = 0;

 private:
  void live(double channels) { peak = std::max(peak, channels * positions() * element_size_); }

  double height_, width_, element_size_;
  bool banded_;
};

Walk walk_decoder(const VaeConfig& config, double height, double width, double element_size, bool banded) {
  Walk walk(height, width, element_size, banded);
  const auto latent = static_cast<double>(config.latent_channels);
  auto channels = static_cast<double>(config.block_out_channels.back());
  if (config.use_post_quant_conv) walk.plain_convolution(latent, latent, 1);
  walk.plain_convolution(latent, channels, 3);
  walk.resnet(channels, channels);
  if (config.mid_block_add_attention) walk.attention(channels);
  walk.resnet(channels, channels);
  for (int64_t level = config.levels() - 1; level >= 0; --level) {
    const auto out = static_cast<double>(config.block_out_channels[level]);
    for (int64_t i = 0; i <= config.layers_per_block; ++i) {
      walk.resnet(channels, out);
      channels = out;
    }
    if (level > 0) walk.upsample(channels);
  }
  walk.end(channels, static_cast<double>(config.out_channels));
  return walk;
}

int64_t whole_number(double bytes) {
  constexpr double kMost = 9e18;
  return static_cast<int64_t>(std::min(bytes, kMost));
}

}  // namespace

DecodePlan plan_decode(const VaeConfig& config, int64_t images, int64_t latent_height, int64_t latent_width,
                       at::ScalarType dtype, int64_t memory_limit, int64_t band_bytes) {
  constexpr int64_t kLargest = 1 << 20;
  const auto expect = [](bool fits, const char* what, int64_t value) {
    if (!fits) throw std::invalid_argument("plan_decode: bad " + (what + (": " + std::to_string(value))));
  };
  expect(images >= 0, "number of images", images);
  expect(1 <= latent_height && latent_height <= kLargest, "latent height", latent_height);
  expect(1 <= latent_width && latent_width <= kLargest, "latent width", latent_width);
  expect(memory_limit >= 0, "memory limit", memory_limit);
  expect(band_bytes > 0, "band size", band_bytes);

  const auto height = static_cast<double>(latent_height), width = static_cast<double>(latent_width);
  const auto element_size = static_cast<double>(c10::elementSize(dtype));
  const auto whole = walk_decoder(config, height, width, element_size, false);
  const auto banded = walk_decoder(config, height, width, element_size, true);
  // One image is in the making while the finished ones wait. The library reorders a convolution's weight, and
  // for small pictures unfolds the input.
  constexpr double kSmall = 1 << 20;
  const double image = whole.positions() * static_cast<double>(config.out_channels) * sizeof(float);
  const double always = image * static_cast<double>(images + 1) + 2 * whole.largest_weight + kSmall;
  // Of a band there are, at most: its rows, their normalised form in fp32 and in the dtype, the padded form,
  // and the result. The rows reach over the band's edges.
  const double band = std::max(static_cast<double>(band_bytes), banded.widest_row) + 2 * banded.widest_row;
  DecodePlan plan;
  plan.whole_bytes = whole_number(always + whole.peak);
  plan.banded_bytes = whole_number(always + banded.peak + 6 * band);
  plan.banded = memory_limit > 0 && plan.whole_bytes > memory_limit && plan.banded_bytes < plan.whole_bytes;
  plan.bytes = plan.banded ? plan.banded_bytes : plan.whole_bytes;
  plan.flop = whole.flop;
  return plan;
}

}  // namespace switchyard::vae

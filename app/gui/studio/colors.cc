#include "app/gui/studio/colors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace switchyard::studio {
namespace {

// A colour of OKLab (Ottosson 2020) by lightness, chroma and hue in degrees, where equal distances look equal. What a
// screen cannot show loses chroma, not lightness.
Color from_oklch(double lightness, double chroma, double hue) {
  const auto channels = [&](double c) {
    const double a = c * std::cos(hue * std::numbers::pi / 180),
                 b = c * std::sin(hue * std::numbers::pi / 180);
    const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    return std::array{4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
                      -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
                      -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
  };
  const auto fits = [](const auto& linear) {
    return std::ranges::all_of(linear, [](double x) { return x >= 0 && x <= 1; });
  };
  auto linear = channels(chroma);
  for (int i = 0; i < 40 && !fits(linear); ++i) linear = channels(chroma *= 0.95);
  Color color;
  for (size_t i = 0; i < 3; ++i) {
    const double x = std::clamp(linear[i], 0.0, 1.0);
    color[i] = static_cast<uint8_t>(
        std::lround(255 * (x <= 0.0031308 ? 12.92 * x : 1.055 * std::pow(x, 1 / 2.4) - 0.055)));
  }
  return color;
}

constexpr int kEntries = 256;

// [256, 4] uint8: a map's colours at equal distances.
template <class Map>
at::Tensor table_of(Map color, double low, double high) {
  auto table = at::full({kEntries, 4}, 255, at::kByte);
  auto entry = table.accessor<uint8_t, 2>();
  for (int i = 0; i < kEntries; ++i) {
    const auto c = color(low + (high - low) * i / (kEntries - 1));
    for (int j = 0; j < 3; ++j) entry[i][j] = c[static_cast<size_t>(j)];
  }
  return table;
}

// Where `there` is false, the mark of nothing: it must differ from any value, and show without colour too.
at::Tensor marked(at::Tensor rgba, const at::Tensor& there) {
  const auto nothing = there.logical_not();
  if (!nothing.any().item<bool>()) return rgba;
  at::Tensor parity = at::arange(there.size(-1));
  if (there.dim() > 1) parity = parity + at::arange(there.size(-2)).unsqueeze(1);
  const auto opacity =
      at::where(parity.remainder(2).eq(0), 160, 90).to(at::kByte).expand_as(there).unsqueeze(-1);
  const auto gray =
      at::tensor({kNothing[0], kNothing[1], kNothing[2]}, at::kByte).expand({there.sizes().vec()[0], 3});
  const auto color = there.dim() > 1 ? gray.unsqueeze(1).expand({there.size(0), there.size(1), 3}) : gray;
  return at::where(nothing.unsqueeze(-1), at::cat({color, opacity}, -1), rgba);
}

at::Tensor looked_up(const at::Tensor& table, const at::Tensor& values, double low, double high) {
  const auto there = values.isnan().logical_not();
  const auto index =
      ((values - low) * ((kEntries - 1) / (high - low))).nan_to_num(0).round().clamp(0, kEntries - 1);
  const auto rgba = table.index_select(0, index.flatten().to(at::kLong));
  auto shape = values.sizes().vec();
  shape.push_back(4);
  return marked(rgba.view(shape), there);
}

}  // namespace

Color sequential_color(double position) {
  const double x = std::clamp(position, 0.0, 1.0);
  return from_oklch(0.24 + 0.73 * x, 0.10 + 0.07 * std::sin(std::numbers::pi * x), 300 - 195 * x);
}

Color diverging_color(double position) {
  const double x = std::clamp(position, -1.0, 1.0);
  return from_oklch(0.97 - 0.40 * std::abs(x), 0.15 * std::abs(x), x < 0 ? 255 : 50);
}

at::Tensor sequential_rgba(const at::Tensor& values, double low, double high) {
  static const at::Tensor table = table_of(sequential_color, 0, 1);
  return looked_up(table, values, low, high);
}

at::Tensor diverging_rgba(const at::Tensor& values, double high) {
  static const at::Tensor table = table_of(diverging_color, -1, 1);
  return looked_up(table, values, -high, high);
}

at::Tensor category_rgba(const at::Tensor& experts, int64_t count) {
  auto table = at::full({count, 4}, 255, at::kByte);
  for (int64_t e = 0; e < count; ++e) {
    const auto color = figures::category_color(e, count);
    table[e].narrow(0, 0, 3).copy_(at::tensor({color[0], color[1], color[2]}, at::kByte));
  }
  auto shape = experts.sizes().vec();
  shape.push_back(4);
  return marked(table.index_select(0, experts.clamp(0).flatten()).view(shape), experts.ge(0));
}

at::Tensor image_rgba(const at::Tensor& image) {
  const auto rgb = image.expand({image.size(0), image.size(1), 3});
  return at::cat({rgb, at::full({image.size(0), image.size(1), 1}, 255, at::kByte)}, 2);
}

Extent extent_of(const at::Tensor& values) {
  const auto there = values.masked_select(values.isnan().logical_not()).to(at::kDouble);
  if (there.numel() == 0) return {};
  return {there.min().item<double>(), there.max().item<double>()};
}

}  // namespace switchyard::studio

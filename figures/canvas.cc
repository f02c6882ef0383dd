#include "figures/canvas.h"

#include <ATen/ATen.h>

#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_STATIC
#include <stb/stb_truetype.h>

#include <algorithm>
#include <cmath>
#include <vector>

extern "C" const std::byte switchyard_font_regular_begin[], switchyard_font_regular_end[];
extern "C" const std::byte switchyard_font_semibold_begin[], switchyard_font_semibold_end[];

namespace switchyard::figures {

std::span<const std::byte> typeface(Weight weight) {
  return weight == Weight::regular
             ? std::span(switchyard_font_regular_begin, switchyard_font_regular_end)
             : std::span(switchyard_font_semibold_begin, switchyard_font_semibold_end);
}

namespace {

const stbtt_fontinfo& font(Weight weight) {
  const auto load = [](Weight which) {
    stbtt_fontinfo info;
    stbtt_InitFont(&info, reinterpret_cast<const unsigned char*>(typeface(which).data()), 0);  // cannot fail: the fonts are part of the program
    return info;
  };
  static const stbtt_fontinfo regular = load(Weight::regular);
  static const stbtt_fontinfo semibold = load(Weight::semibold);
  return weight == Weight::regular ? regular : semibold;
}

// The code points of UTF-8 text; U+FFFD for each byte that is not part of any.
std::vector<int> code_points(std::string_view text) {
  std::vector<int> points;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80         ? 1
                          : lead >> 5 == 0x6  ? 2
                          : lead >> 4 == 0xe  ? 3
                          : lead >> 3 == 0x1e ? 4
                                              : 0;
    int point = length == 1 ? lead : lead & (0x7f >> length);
    bool valid = length > 0 && i + length <= text.size();
    for (size_t j = 1; valid && j < length; ++j) {
      const auto next = static_cast<unsigned char>(text[i + j]);
      valid = next >> 6 == 0x2;
      point = point << 6 | (next & 0x3f);
    }
    points.push_back(valid ? point : 0xfffd);
    i += valid ? length : 1;
  }
  return points;
}

// Calls visit(glyph, x) for each glyph, x from the text's left end; returns the text's width.
template <class Visit>
double lay_out(std::string_view text, const TextStyle& style, Visit visit) {
  const auto& info = font(style.weight);
  const double scale = stbtt_ScaleForMappingEmToPixels(&info, static_cast<float>(style.size));
  double x = 0;
  int previous = -1;
  for (const int point : code_points(text)) {
    const int glyph = stbtt_FindGlyphIndex(&info, point);
    if (previous >= 0) x += scale * stbtt_GetGlyphKernAdvance(&info, previous, glyph);
    visit(glyph, x);
    int advance, bearing;
    stbtt_GetGlyphHMetrics(&info, glyph, &advance, &bearing);
    x += scale * advance;
    previous = glyph;
  }
  return x;
}

}  // namespace

Canvas::Canvas(int64_t width, int64_t height, Color background)
    : pixels_(at::empty({height, width, 3}, at::kByte)) {
  fill(0, 0, width, height, background);
}

void Canvas::blend(int64_t x, int64_t y, Color color, double opacity) {
  if (x < 0 || y < 0 || x >= width() || y >= height()) return;
  auto* pixel = pixels_.mutable_data_ptr<uint8_t>() + 3 * (y * width() + x);
  for (int c = 0; c < 3; ++c) {
    pixel[c] = static_cast<uint8_t>(std::lround(pixel[c] + opacity * (color[c] - pixel[c])));
  }
}

void Canvas::fill(int64_t x, int64_t y, int64_t width, int64_t height, Color color, double opacity) {
  for (int64_t row = y; row < y + height; ++row) {
    for (int64_t column = x; column < x + width; ++column) blend(column, row, color, opacity);
  }
}

void Canvas::draw(int64_t x, int64_t y, const at::Tensor& image) {
  const auto left = std::clamp<int64_t>(x, 0, width()), top = std::clamp<int64_t>(y, 0, height());
  const auto right = std::clamp<int64_t>(x + image.size(1), left, width());
  const auto bottom = std::clamp<int64_t>(y + image.size(0), top, height());
  if (left == right || top == bottom) return;
  pixels_.slice(0, top, bottom)
      .slice(1, left, right)
      .copy_(image.slice(0, top - y, bottom - y).slice(1, left - x, right - x));
}

double Canvas::text_width(std::string_view text, const TextStyle& style) {
  return lay_out(text, style, [](int, double) {});
}

double Canvas::text(double x, double y, std::string_view text, const TextStyle& style) {
  const double text_width = Canvas::text_width(text, style);
  if (style.align == Align::center) x -= text_width / 2;
  if (style.align == Align::right) x -= text_width;

  const auto& info = font(style.weight);
  const float scale = stbtt_ScaleForMappingEmToPixels(&info, static_cast<float>(style.size));
  std::vector<unsigned char> coverage;
  return lay_out(text, style, [&](int glyph, double offset) {
    const double left = std::floor(x + offset), top = std::floor(y);
    const auto shift_x = static_cast<float>(x + offset - left), shift_y = static_cast<float>(y - top);
    int x0, y0, x1, y1;
    stbtt_GetGlyphBitmapBoxSubpixel(&info, glyph, scale, scale, shift_x, shift_y, &x0, &y0, &x1, &y1);
    const int columns = x1 - x0, rows = y1 - y0;
    if (columns <= 0 || rows <= 0) return;
    coverage.assign(static_cast<size_t>(columns) * rows, 0);
    stbtt_MakeGlyphBitmapSubpixel(&info, coverage.data(), columns, rows, columns, scale, scale, shift_x,
                                  shift_y, glyph);
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column) {
        blend(static_cast<int64_t>(left) + x0 + column, static_cast<int64_t>(top) + y0 + row, style.color,
              coverage[static_cast<size_t>(row) * columns + column] / 255.0);
      }
    }
  });
}

Color color_between(std::span<const Color> stops, double position) {
  const double place = std::clamp(position, 0.0, 1.0) * static_cast<double>(stops.size() - 1);
  const auto index = std::min(static_cast<size_t>(place), stops.size() - 1);
  const auto& from = stops[index];
  const auto& to = stops[std::min(index + 1, stops.size() - 1)];
  Color color;
  for (int c = 0; c < 3; ++c) {
    color[c] =
        static_cast<uint8_t>(std::lround(from[c] + (place - static_cast<double>(index)) * (to[c] - from[c])));
  }
  return color;
}

Color category_color(int64_t index, int64_t count) {
  static constexpr Color kChosen[] = {{59, 125, 216}, {242, 142, 43}, {63, 163, 77},  {217, 65, 63},
                                      {142, 91, 196}, {43, 181, 196}, {232, 194, 46}, {227, 119, 180}};
  if (count <= 8) return kChosen[index % 8];
  // The golden angle keeps neighbouring indices far apart in hue; three shades tell near hues apart.
  const double hue = std::fmod(0.61 + static_cast<double>(index) * 0.6180339887, 1.0);
  const double value = std::array{0.92, 0.68, 0.80}[index % 3],
               saturation = std::array{0.72, 0.80, 0.48}[index % 3];
  Color color;
  for (int c = 0; c < 3; ++c) {  // HSV to RGB
    const double k = std::fmod(hue * 6 + std::array{5, 3, 1}[c], 6.0);
    color[c] = static_cast<uint8_t>(
        std::lround(255 * value * (1 - saturation * std::clamp(std::min(k, 4 - k), 0.0, 1.0))));
  }
  return color;
}

at::Tensor resized(const at::Tensor& image, int64_t height, int64_t width) {
  const auto rgb = image.expand({image.size(0), image.size(1), 3});
  if (height % image.size(0) == 0 && width % image.size(1) == 0) {
    return rgb.repeat_interleave(height / image.size(0), 0).repeat_interleave(width / image.size(1), 1);
  }
  const auto planes = rgb.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);
  return at::_upsample_bilinear2d_aa(planes, {height, width}, false)
      .round()
      .clamp(0, 255)
      .to(at::kByte)
      .squeeze(0)
      .permute({1, 2, 0})
      .contiguous();
}

}  // namespace switchyard::figures

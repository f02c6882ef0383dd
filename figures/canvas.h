// A picture to draw on: rectangles, images and text, for this layer's diagrams.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "figures/typeface.h"

namespace switchyard::figures {

using Color = std::array<uint8_t, 3>;  // red, green, blue

enum class Align { left, center, right };

struct TextStyle {
  double size = 13;  // of the em square, in pixels
  Color color = {40, 44, 52};
  Weight weight = Weight::regular;
  Align align = Align::left;  // which end of the text x means
};

/// Coordinates are whole pixels (text: fractions too) from the top left; what lies outside is cut off.
class Canvas {
 public:
  Canvas(int64_t width, int64_t height, Color background = {255, 255, 255});

  int64_t width() const { return pixels_.size(1); }
  int64_t height() const { return pixels_.size(0); }

  void fill(int64_t x, int64_t y, int64_t width, int64_t height, Color color, double opacity = 1.0);
  void draw(int64_t x, int64_t y, const at::Tensor& image);  // [H, W, 3] uint8

  /// One line of UTF-8 text, y its baseline. Returns its width. The typeface is Inter; what it lacks is drawn
  /// as an empty box.
  double text(double x, double y, std::string_view text, const TextStyle& style);
  static double text_width(std::string_view text, const TextStyle& style);

  /// [height, width, 3] uint8; shares the canvas's memory.
  const at::Tensor& pixels() const { return pixels_; }

 private:
  void blend(int64_t x, int64_t y, Color color, double opacity);  // one pixel, if it is inside

  at::Tensor pixels_;
};

/// The color at a position in [0, 1] along stops that lie at equal distances, mixed as stored.
Color color_between(std::span<const Color> stops, double position);

/// Colors that tell `count` things apart: a chosen set for up to eight, hues and lightnesses in turn for
/// more.
Color category_color(int64_t index, int64_t count);

/// `image` [H, W, 1 or 3] uint8 as [height, width, 3] uint8: whole-pixel enlargement where the size is a
/// multiple, bilinear otherwise.
at::Tensor resized(const at::Tensor& image, int64_t height, int64_t width);

}  // namespace switchyard::figures

// Numbers as colours: maps that are even to the eye, and still read with colour blindness.
#pragma once

#include <ATen/core/Tensor.h>

#include "figures/canvas.h"

namespace switchyard::studio {

using figures::Color;

/// position 0 .. 1 (clamped) along a map: lightness rises all the way, from a dark blue violet to a pale yellow.
Color sequential_color(double position);

/// position -1 .. 1 (clamped): blue over near white at 0 to orange, equally light at both ends.
Color diverging_color(double position);

/// The mark for "nothing there".
inline constexpr Color kNothing = {150, 150, 156};

/// Of values [R, C] or [T] fp32 -> the same shape with a last axis of 4, uint8: red, green, blue and opacity (255; NaN:
/// kNothing at a chequered 160 or 90, by the parity of row + column). low < high: the ends of the map; of the diverging
/// one -high .. high.
at::Tensor sequential_rgba(const at::Tensor& values, double low, double high);
at::Tensor diverging_rgba(const at::Tensor& values, double high);

/// Of experts [..] int64 -> [.., 4] uint8 in figures::category_color's colours; -1 is nothing, as above.
at::Tensor category_rgba(const at::Tensor& experts, int64_t count);

/// Of an image [H, W, 1 or 3] uint8 -> [H, W, 4].
at::Tensor image_rgba(const at::Tensor& image);

/// The numbers that a legend shows: the least and the greatest, NaN left out; 0 and 1 where there are none.
struct Extent {
  double low = 0, high = 1;
};
Extent extent_of(const at::Tensor& values);

}  // namespace switchyard::studio

// Resizing as Pillow's Image.resize does it, and the centre crop of ADM and DiT built on it.
//
// Antialiased when shrinking: the filter is stretched by scale = in / out where that is above 1. Output i
// weighs the inputs within support * max(scale, 1) of (i + 0.5) * scale; horizontal pass first, and a pass is
// left out where its size does not change. Equal to Pillow 11.3 and 12.0 bit for bit on uint8 (13.0 goes
// vertical first on some sizes).
//
// Images are [H, W, C] on the CPU, any strides, C from 1 to 4, sides from 1 to 32,768, here and in the result.
// std::invalid_argument: another shape or dtype. Safe to call from several threads, each works alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace switchyard::data {

enum class Filter {
  box,       // support 0.5
  bilinear,  // support 1
  bicubic,   // support 2, a = -0.5
  lanczos,   // support 3
};

/// uint8 [H, W, C] -> uint8 [height, width, C]: weights of 22 bits, rounded and clipped after each pass.
at::Tensor resized(const at::Tensor& image, int64_t height, int64_t width, Filter filter);

/// uint8 or fp32 [H, W, C] -> fp32 [height, width, C]: each channel as Pillow's mode F, without clipping. This
/// is clean-fid's resize (which then clips to [0, 255]).
at::Tensor resized_float(const at::Tensor& image, int64_t height, int64_t width, Filter filter);

/// uint8 [H, W, C] -> uint8 [size, size, C]: halves by box while both sides are at least 2 * size, scales the
/// shorter side to `size` by bicubic, and cuts the middle out (center_crop_arr of guided-diffusion).
at::Tensor center_crop(const at::Tensor& image, int64_t size);

}  // namespace switchyard::data

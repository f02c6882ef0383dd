// JPEG images as Pillow decodes them: libjpeg-turbo, slow integer DCT, smooth ("fancy") chroma upsampling.
//
// Source: ITU-T T.81; Adobe Technical Note 5116 for the APP14 marker that tells RGB, YCCK and inverted CMYK.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

namespace switchyard::io {

// [height, width, 3] uint8 of a baseline or progressive JPEG of 8 bits: YCbCr, RGB, grey, CMYK or YCCK (both
// inverted, as Adobe's and Pillow's are; R = (255 - C) (255 - K) / 255). The Exif orientation is not applied.
// Sides up to 32,768, 2^28 pixels in all and 1032 per byte of the file; 1 GiB of coefficients (progressive
// ones, 178 million pixels without subsampling) and 100 scans.
// InputError: not a JPEG, damaged (what libjpeg only warns of, such as an early end, is an error too), or
// beyond those limits.
at::Tensor read_jpeg(const std::filesystem::path& path);

// The same for bytes in memory; `name` stands in for the file's name in messages.
at::Tensor parse_jpeg(std::span<const std::byte> bytes, const std::string& name);

}  // namespace switchyard::io

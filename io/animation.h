// Animated PNG: moving pictures of full colour, which browsers show; readers that do not know of it show the first frame.
//
// Source: the PNG specification, third edition (https://www.w3.org/TR/png-3/), chunks acTL, fcTL and fdAT.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <vector>

namespace switchyard::io {

struct Frame {
  at::Tensor pixels;     // [height, width, 3] uint8, all of one size
  int milliseconds = 0;  // that it is shown, 0 to 65,535
};

// Repeats for ever; of each frame only the rectangle that changed is stored. Atomic. std::invalid_argument: no frames,
// not one size, a time out of range, and what write_png refuses. OutputError: the file cannot be written.
void write_animation(const std::filesystem::path& path, const std::vector<Frame>& frames);

}  // namespace switchyard::io

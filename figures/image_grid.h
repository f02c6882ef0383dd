// Many images as one: a contact sheet.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace switchyard::figures {

/// images: [H, W, C] uint8 of equal shape, C = 1 or 3, filled row by row into `columns` columns (fewer if
/// there are fewer images), `gap` white pixels between neighbours, each pixel drawn as zoom x zoom pixels. ->
/// [H', W', 3] uint8 with H' = rows * H * zoom + (rows - 1) * gap. Throws std::invalid_argument for no
/// images, unequal or wrong ones, columns < 1, gap < 0 or zoom < 1.
at::Tensor image_grid(const std::vector<at::Tensor>& images, int64_t columns, int64_t gap = 2,
                      int64_t zoom = 1);

}  // namespace switchyard::figures

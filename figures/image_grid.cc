#include "figures/image_grid.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <stdexcept>

namespace switchyard::figures {

at::Tensor image_grid(const std::vector<at::Tensor>& images, int64_t columns, int64_t gap, int64_t zoom) {
  if (images.empty()) throw std::invalid_argument("image grid: no images");
  if (columns < 1 || gap < 0 || zoom < 1) {
    throw std::invalid_argument(c10::str("image grid: expected columns >= 1, gap >= 0 and zoom >= 1, got ",
                                         columns, ", ", gap, " and ", zoom));
  }
  const auto& first = images.front();
  for (const auto& image : images) {
    const bool right =
        image.dim() == 3 && image.scalar_type() == at::kByte && (image.size(2) == 1 || image.size(2) == 3);
    if (!right || image.sizes() != first.sizes()) {
      throw std::invalid_argument(
          c10::str("image grid: expected uint8 images [H, W, 1 or 3] of equal size, got ",
                   image.scalar_type(), " ", image.sizes(), " beside ", first.sizes()));
    }
  }
  const auto count = static_cast<int64_t>(images.size());
  columns = std::min(columns, count);
  const auto rows = (count + columns - 1) / columns;
  const auto height = first.size(0) * zoom, width = first.size(1) * zoom;
  auto grid = at::full({rows * (height + gap) - gap, columns * (width + gap) - gap, 3}, 255, at::kByte);
  for (int64_t i = 0; i < count; ++i) {
    const auto enlarged = images[i].repeat_interleave(zoom, 0).repeat_interleave(zoom, 1);
    grid.narrow(0, i / columns * (height + gap), height)
        .narrow(1, i % columns * (width + gap), width)
        .copy_(enlarged);
  }
  return grid;
}

}  // namespace switchyard::figures

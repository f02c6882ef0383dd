#include "app/gui/view_cache.h"

#include <algorithm>
#include <cmath>

#include "app/gui/studio/colors.h"

namespace switchyard::gui {

MatrixView matrix_view(const at::Tensor& values, bool diverging) {
  const auto extent = studio::extent_of(values);
  MatrixView view{.values = values.contiguous(), .diverging = diverging};
  if (diverging) {
    view.high = std::max(std::abs(extent.low), std::abs(extent.high));
    if (view.high == 0) view.high = 1;
    view.low = -view.high;
    view.rgba = studio::diverging_rgba(view.values, view.high);
  } else {
    view.low = std::min(extent.low, 0.0), view.high = std::max(extent.high, 0.0);
    if (view.high <= view.low) view.high = view.low + 1;
    view.rgba = studio::sequential_rgba(view.values, view.low, view.high);
  }
  return view;
}

}  // namespace switchyard::gui

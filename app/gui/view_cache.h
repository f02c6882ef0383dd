// Views of routing as panels show them, computed when what they show has changed and not at each frame.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "app/gui/studio/selection.h"

namespace switchyard::gui {

/// Everything that a view can depend on.
struct ViewKey {
  uint64_t version = 0, other_version = 0;  // of the runs
  studio::Selection selection;
  int choice = 0;  // the panel's own

  bool operator==(const ViewKey&) const = default;
};

/// A matrix and its colours.
struct MatrixView {
  at::Tensor values = {};    // [R, C] fp32; NaN: nothing there
  at::Tensor rgba = {};      // [R, C, 4] uint8
  double low = 0, high = 1;  // the ends of the colour map; of the diverging one, low is -high
  bool diverging = false;
};

/// Of fp32 values; differences are told by their sign.
MatrixView matrix_view(const at::Tensor& values, bool diverging);

template <class View>
class ViewCache {
 public:
  /// The view, made anew where the key is another one. Null where that threw: see error().
  const View* of(const ViewKey& key, const std::function<View()>& make) {
    if (!key_ || *key_ != key) {
      key_ = key;
      ++version_;
      error_.clear();
      view_.reset();
      try {
        view_ = make();
      } catch (const std::exception& error) {
        error_ = error.what();
      }
    }
    return view_ ? &*view_ : nullptr;
  }

  uint64_t version() const { return version_; }  // of its texture
  const std::string& error() const { return error_; }

 private:
  std::optional<ViewKey> key_;
  std::optional<View> view_;
  std::string error_;
  uint64_t version_ = 0;
};

}  // namespace switchyard::gui

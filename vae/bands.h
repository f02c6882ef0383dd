// An activation held as bands of rows, so that it can be made, and given back, piece by piece.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace switchyard::vae {

class Bands {
 public:
  Bands() = default;
  explicit Bands(at::Tensor whole) { append(std::move(whole)); }

  /// `band` [1, C, rows, W] continues the picture downwards.
  void append(at::Tensor band);

  /// Rows [begin, end) of the picture, [1, C, end - begin, W]: a view where one band holds them all, else a
  /// copy. They must be inside the picture and not released.
  at::Tensor rows(int64_t begin, int64_t end) const;

  /// Gives back the memory of bands that end at or above `row`.
  void release_above(int64_t row);

  int64_t channels() const { return channels_; }
  int64_t height() const { return ends_.empty() ? 0 : ends_.back(); }
  int64_t width() const { return width_; }
  const std::vector<at::Tensor>& bands() const { return bands_; }  // released ones are undefined

 private:
  std::vector<at::Tensor> bands_;
  std::vector<int64_t> ends_;  // the row below each band
  int64_t channels_ = 0, width_ = 0;
};

}  // namespace switchyard::vae

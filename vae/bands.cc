#include "vae/bands.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace switchyard::vae {

void Bands::append(at::Tensor band) {
  channels_ = band.size(1);
  width_ = band.size(3);
  ends_.push_back(height() + band.size(2));
  bands_.push_back(std::move(band));
}

at::Tensor Bands::rows(int64_t begin, int64_t end) const {
  std::vector<at::Tensor> pieces;
  int64_t top = 0;
  for (size_t i = 0; i < bands_.size(); top = ends_[i++]) {
    const int64_t from = std::max(begin, top), to = std::min(end, ends_[i]);
    if (from < to) pieces.push_back(bands_[i].narrow(2, from - top, to - from));
  }
  return pieces.size() == 1 ? pieces.front() : at::cat(pieces, 2);
}

void Bands::release_above(int64_t row) {
  for (size_t i = 0; i < bands_.size() && ends_[i] <= row; ++i) bands_[i].reset();
}

}  // namespace switchyard::vae

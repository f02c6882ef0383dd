#include "data/solids_batches.h"

#include <ATen/ATen.h>

#include "data/solids.h"

namespace switchyard::data {

std::vector<std::string> solid_names() { return {kSolidNames.begin(), kSolidNames.end()}; }

Batch solids_batch(int64_t step, int64_t n, int64_t size) {
  auto pixels = at::empty({n, size, size, 3}, at::kByte);
  auto labels = at::empty({n}, at::kLong);
  auto* bytes = pixels.mutable_data_ptr<uint8_t>();
  auto* label = labels.mutable_data_ptr<int64_t>();
  const auto image_bytes = static_cast<size_t>(size * size * 3);
  for (int64_t i = 0; i < n; ++i) {
    const auto index = static_cast<uint64_t>(step * n + i);
    label[i] = solid_class(Split::train, index);
    render_solid(Split::train, index, static_cast<int>(size),
                 {bytes + static_cast<size_t>(i) * image_bytes, image_bytes});
  }
  return {pixels.permute({0, 3, 1, 2}), labels};
}

at::Tensor to_model_range(const at::Tensor& images) {
  return images.to(at::kFloat).contiguous() / 127.5 - 1.0;
}

BatchesAhead::BatchesAhead(int64_t first_step, int64_t batch_size, int64_t image_size, int ahead)
    : next_step_(first_step), batch_size_(batch_size), image_size_(image_size) {
  for (int i = 0; i < ahead; ++i) start();
}

void BatchesAhead::start() {
  ahead_.push_back(std::async(std::launch::async, solids_batch, next_step_++, batch_size_, image_size_));
}

Batch BatchesAhead::next() {
  auto batch = ahead_.front().get();
  ahead_.pop_front();
  start();
  return batch;
}

}  // namespace switchyard::data

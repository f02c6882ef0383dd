#include "data/training_images.h"

#include <ATen/ATen.h>

#include "data/solids.h"

namespace switchyard::data {
namespace {

class SolidsToLearn : public TrainingImages {
 public:
  explicit SolidsToLearn(int64_t size) : size_(size) {}

  Batch batch(int64_t step, int64_t n) const override {
    auto pixels = at::empty({n, size_, size_, 3}, at::kByte);
    auto labels = at::empty({n}, at::kLong);
    auto* bytes = pixels.mutable_data_ptr<uint8_t>();
    auto* label = labels.mutable_data_ptr<int64_t>();
    const auto image_bytes = static_cast<size_t>(size_ * size_ * 3);
    for (int64_t i = 0; i < n; ++i) {
      const auto index = static_cast<uint64_t>(step * n + i);
      label[i] = solid_class(Split::train, index);
      render_solid(Split::train, index, static_cast<int>(size_),
                   {bytes + static_cast<size_t>(i) * image_bytes, image_bytes});
    }
    return {pixels.permute({0, 3, 1, 2}), labels};
  }
  std::vector<std::string> class_names() const override { return {kSolidNames.begin(), kSolidNames.end()}; }
  std::string identity() const override { return "solids"; }

 private:
  int64_t size_;
};

}  // namespace

std::shared_ptr<const TrainingImages> solids_to_learn(int64_t size) {
  return std::make_shared<const SolidsToLearn>(size);
}

at::Tensor to_model_range(const at::Tensor& images) {
  return images.to(at::kFloat).contiguous() / 127.5 - 1.0;
}

BatchesAhead::BatchesAhead(std::shared_ptr<const TrainingImages> images, int64_t first_step, int64_t batch_size,
                           int ahead)
    : images_(std::move(images)), next_step_(first_step), batch_size_(batch_size) {
  for (int i = 0; i < ahead; ++i) start();
}

void BatchesAhead::start() {
  ahead_.push_back(std::async(std::launch::async, [images = images_, step = next_step_++, n = batch_size_] {
    return images->batch(step, n);
  }));
}

Batch BatchesAhead::next() {
  auto batch = ahead_.front().get();
  ahead_.pop_front();
  start();
  return batch;
}

}  // namespace switchyard::data

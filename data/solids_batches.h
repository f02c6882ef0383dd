// Batches of training images, rendered ahead of the step that uses them.
#pragma once

#include <ATen/core/Tensor.h>

#include <deque>
#include <future>
#include <string>
#include <vector>

namespace switchyard::data {

struct Batch {
  at::Tensor images;  // [N, 3, S, S] uint8
  at::Tensor labels;  // [N] int64
};

/// The class names of the solids, by label.
std::vector<std::string> solid_names();

/// The solids of `step`: images step * n .. (step + 1) * n - 1 of the training split.
Batch solids_batch(int64_t step, int64_t n, int64_t size);

/// uint8 -> fp32 in [-1, 1], the range in which models see images.
at::Tensor to_model_range(const at::Tensor& images);

/// Renders the next `ahead` batches on as many background threads while the current one is trained on.
class BatchesAhead {
 public:
  BatchesAhead(int64_t first_step, int64_t batch_size, int64_t image_size, int ahead = 1);
  Batch next();

 private:
  void start();
  int64_t next_step_;  // the one to be started
  int64_t batch_size_, image_size_;
  std::deque<std::future<Batch>> ahead_;
};

}  // namespace switchyard::data

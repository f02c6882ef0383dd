// What a model learns from: batches of images of one size, the same for the same step, so that a run that was stopped
// goes on with the images that an unbroken one would have seen.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "data/image_source.h"

namespace switchyard::data {

struct Batch {
  at::Tensor images;  // [N, 3, S, S] uint8
  at::Tensor labels;  // [N] int64, 0 .. class_names().size() - 1
};

class TrainingImages {
 public:
  virtual ~TrainingImages() = default;
  /// The n images of a step; from any thread, several at once. io::InputError: no image can be read.
  virtual Batch batch(int64_t step, int64_t n) const = 0;
  /// By label; at least one.
  virtual std::vector<std::string> class_names() const = 0;
  /// What tells this set from others, wherever it lies: "solids", or "8121 images of 22 classes, 5f3a...".
  virtual std::string identity() const = 0;
  /// A line for each image that turned out to be unreadable since the last call; another stands in for it.
  virtual std::vector<std::string> take_problems() const { return {}; }
};

/// The training split of the solids (solids.h): images step * n .. (step + 1) * n - 1.
std::shared_ptr<const TrainingImages> solids_to_learn(int64_t size);

struct PictureOptions {
  int64_t size = 64;
  bool flip = true;     // half of the images are mirrored, another half in each epoch
  uint64_t seed = 0;    // of order and mirroring
  int64_t most_bytes = int64_t{1} << 30;  // of memory for images that are decoded and cut; larger sets are decoded anew each time
};

/// Anybody's pictures: in an order that is shuffled anew for every epoch, cut as center_crop() says. Classes are those of
/// the source, or one, "picture", where not every image has one.
std::shared_ptr<const TrainingImages> pictures_to_learn(std::shared_ptr<const ImageSource> source,
                                                        const PictureOptions& options);

/// uint8 -> fp32 in [-1, 1], the range in which models see images.
at::Tensor to_model_range(const at::Tensor& images);

/// Makes the next `ahead` batches on as many background threads while the current one is trained on.
class BatchesAhead {
 public:
  BatchesAhead(std::shared_ptr<const TrainingImages> images, int64_t first_step, int64_t batch_size, int ahead = 1);
  Batch next();

 private:
  void start();
  std::shared_ptr<const TrainingImages> images_;
  int64_t next_step_;  // the one to be started
  int64_t batch_size_;
  std::deque<std::future<Batch>> ahead_;
};

}  // namespace switchyard::data

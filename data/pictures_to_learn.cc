// Anybody's pictures as batches to learn from.
#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>

#include "data/random.h"
#include "data/resize.h"
#include "data/training_images.h"
#include "io/error.h"
#include "io/split_mix.h"

namespace switchyard::data {
namespace {

// A number as good as random that belongs to (seed, a, b).
uint64_t hashed(uint64_t seed, uint64_t a, uint64_t b) {
  return io::split_mix(io::split_mix(seed + a * io::kSplitMixStep) + b * io::kSplitMixStep);
}

class Pictures : public TrainingImages {
 public:
  Pictures(std::shared_ptr<const ImageSource> source, const PictureOptions& options)
      : source_(std::move(source)), options_(options) {
    read_classes();
    const int64_t bytes = source_->size() * options_.size * options_.size * 3;
    if (bytes <= options_.most_bytes) {
      kept_ = at::empty({source_->size(), 3, options_.size, options_.size}, at::kByte);
      is_kept_.resize(static_cast<size_t>(source_->size()));
    }
  }

  Batch batch(int64_t step, int64_t n) const override {
    Batch batch{at::empty({n, 3, options_.size, options_.size}, at::kByte), at::empty({n}, at::kLong)};
    for (int64_t i = 0; i < n; ++i) {
      const int64_t position = step * n + i, epoch = position / source_->size();
      const int64_t index = order_of(epoch).const_data_ptr<int64_t>()[position % source_->size()];
      const auto [pixels, label] = readable(index);
      const bool flip = options_.flip && hashed(~options_.seed, static_cast<uint64_t>(position), 0) % 2 == 1;
      batch.images[i].copy_(flip ? pixels.flip(2) : pixels);
      batch.labels[i] = label;
    }
    return batch;
  }

  std::vector<std::string> class_names() const override { return names_; }

  std::string identity() const override {
    uint64_t hash = 0;
    const auto add = [&](std::string_view text) {
      for (const char c : text) hash = io::split_mix(hash ^ static_cast<unsigned char>(c));
    };
    for (const auto& name : names_) add(name), add("\n");
    for (int64_t i = 0; i < source_->size(); ++i) add(source_->name_of(i)), add("\n");
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(hash));
    return c10::str(source_->size(), " images of ", names_.size(), names_.size() == 1 ? " class, " : " classes, ",
                    digits);
  }

  std::vector<std::string> take_problems() const override {
    const std::lock_guard lock(mutex_);
    return std::exchange(problems_, {});
  }

 private:
  struct Picture {
    at::Tensor pixels;  // [3, S, S] uint8
    int64_t label;
  };

  // Labels may be any numbers: they are counted from 0 here.
  void read_classes() {
    std::set<int64_t> labels;
    for (int64_t i = 0; i < source_->size(); ++i) labels.insert(source_->label_of(i));
    if (labels.contains(-1)) {
      names_ = {"picture"};
      return;
    }
    const auto names = source_->class_names();
    for (const int64_t label : labels) {
      label_of_.emplace(label, static_cast<int64_t>(names_.size()));
      const auto at = static_cast<size_t>(label);
      names_.push_back(at < names.size() ? names[at] : std::to_string(label));
    }
  }

  // The epochs that batches are made of: two at a time, at the turn.
  at::Tensor order_of(int64_t epoch) const {  // [images] int64
    const std::lock_guard lock(mutex_);
    auto& order = orders_[epoch];
    if (!order.defined())
      order = shuffled(source_->size(), hashed(options_.seed, static_cast<uint64_t>(epoch), 0));
    const auto found = order;
    while (orders_.size() > 2) orders_.erase(orders_.begin());
    return found;
  }

  // The image, or the next one that can be read.
  Picture readable(int64_t index) const {
    for (int64_t tried = 0; tried < source_->size(); ++tried, index = (index + 1) % source_->size()) {
      {
        const std::lock_guard lock(mutex_);
        if (unreadable_.contains(index)) continue;
        if (!is_kept_.empty() && is_kept_[static_cast<size_t>(index)]) return {kept_[index], label(index)};
      }
      try {
        const auto pixels = center_crop(source_->read(index).pixels, options_.size).permute({2, 0, 1});
        if (!is_kept_.empty()) {
          const std::lock_guard lock(mutex_);
          kept_[index].copy_(pixels);
          is_kept_[static_cast<size_t>(index)] = true;
        }
        return {pixels, label(index)};
      } catch (const io::InputError& error) {
        const std::lock_guard lock(mutex_);
        if (unreadable_.insert(index).second)
          problems_.push_back(c10::str(error.what(), " (", unreadable_.size(), " of ", source_->size(),
                                       " images cannot be read)"));
      }
    }
    throw io::InputError(source_->name() + ": none of its " + std::to_string(source_->size()) + " images can be read");
  }

  int64_t label(int64_t index) const { return label_of_.empty() ? 0 : label_of_.at(source_->label_of(index)); }

  std::shared_ptr<const ImageSource> source_;
  PictureOptions options_;
  std::vector<std::string> names_;
  std::map<int64_t, int64_t> label_of_;  // the source's -> ours; empty where there are no classes
  at::Tensor kept_;                      // [images, 3, S, S], of which is_kept_ are there; or undefined

  mutable std::mutex mutex_;  // of what follows, and of what is kept
  mutable std::vector<bool> is_kept_;
  mutable std::map<int64_t, at::Tensor> orders_;
  mutable std::set<int64_t> unreadable_;
  mutable std::vector<std::string> problems_;
};

}  // namespace

std::shared_ptr<const TrainingImages> pictures_to_learn(std::shared_ptr<const ImageSource> source,
                                                        const PictureOptions& options) {
  return std::make_shared<const Pictures>(std::move(source), options);
}

}  // namespace switchyard::data

// A feature network whose features are known: the mean of each channel, and the picture's size; logits and spatial features
// from them.
#pragma once

#include <ATen/ATen.h>

#include <stdexcept>
#include <vector>

#include "data/image_source.h"
#include "io/error.h"
#include "metrics/feature_network.h"

namespace switchyard::metrics {

class FakeNetwork final : public FeatureNetwork {
 public:
  explicit FakeNetwork(bool with_all = false) : with_all_(with_all) {
    facts_ = {"Fake", "FD-Fake", "KD-Fake", 5, 8, "none at all", "0 .. 255", "fake.pth", std::string(64, 'a'),
              ""};
  }
  const NetworkFacts& facts() const override { return facts_; }

  Features operator()(at::ArrayRef<at::Tensor> images) const override {
    std::vector<at::Tensor> rows;
    for (const auto& image : images)
      rows.push_back(
          at::cat({image.to(at::kFloat).mean(at::IntArrayRef{0, 1}),
                   at::tensor({static_cast<float>(image.size(0)), static_cast<float>(image.size(1))})}));
    const auto features = at::stack(rows);
    if (!with_all_) return {features, {}, {}};
    return {features, features.repeat({1, 2}), features / 100};
  }

 private:
  bool with_all_;
  NetworkFacts facts_;
};

// Images of noise about a level; some cannot be read.
class NoiseSource final : public data::ImageSource {
 public:
  NoiseSource(int64_t count, int level, std::vector<int64_t> broken = {})
      : count_(count), level_(level), broken_(std::move(broken)) {}
  int64_t size() const override { return count_; }
  std::string name() const override { return "noise"; }
  data::SourceImage read(int64_t i) const override {
    for (const int64_t bad : broken_)
      if (bad == i) throw io::InputError("noise/" + std::to_string(i) + ": broken");
    const auto pixels = at::empty({5, 7, 3}, at::kByte);
    auto* const data = pixels.mutable_data_ptr<uint8_t>();
    for (int64_t p = 0; p < pixels.numel(); ++p)
      data[p] = static_cast<uint8_t>(level_ + ((i * 7919 + p * 104729) ^ (i << 3)) % 97);
    return {pixels, i % 3, std::to_string(i)};
  }

 private:
  int64_t count_;
  int level_;
  std::vector<int64_t> broken_;
};

}  // namespace switchyard::metrics

#include "metrics/feature_set.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "io/error.h"
#include "kernels/side_by_side.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kBatch = 32;
constexpr size_t kNamed = 20;  // of the images that cannot be read

Features look_at(const FeatureNetwork& network, at::ArrayRef<at::Tensor> images, Wanted wanted) {
  Features features = network(images);
  if (!wanted.spatial) features.spatial.reset();
  if (!wanted.logits) features.logits.reset();
  return features;
}

// One field of all batches as one matrix; each batch's part is let go before the next field is copied.
at::Tensor joined(std::vector<Features>& batches, at::Tensor Features::*field) {
  std::vector<at::Tensor> parts;
  for (auto& batch : batches) parts.push_back(std::move(batch.*field));
  return parts.front().defined() ? at::cat(parts) : at::Tensor();
}

FeatureSet assembled(const std::string& name, const FeatureNetwork& network, std::vector<Features> batches,
                     const std::vector<int64_t>& labels) {
  return {name,
          network.facts(),
          joined(batches, &Features::features),
          joined(batches, &Features::spatial),
          joined(batches, &Features::logits),
          at::tensor(labels, at::kLong),
          {}};
}

std::string bad_images(const data::ImageSource& source, const std::vector<std::string>& bad) {
  return source.name() + ": " + std::to_string(bad.size()) + " of " + std::to_string(source.size()) +
         " images cannot be read:" + lines_of(bad);
}

// A batch of a source, once it was decoded and seen.
struct Seen {
  Features features;
  std::vector<int64_t> labels;
  std::vector<std::string> bad;
};

}  // namespace

std::string lines_of(const std::vector<std::string>& bad) {
  std::string text;
  for (size_t i = 0; i < std::min(bad.size(), kNamed); ++i) text += "\n  " + bad[i];
  if (bad.size() > kNamed) text += "\n  and " + std::to_string(bad.size() - kNamed) + " more";
  return text;
}

FeatureGatherer::FeatureGatherer(const FeatureNetwork& network, std::string name, Wanted wanted)
    : network_(&network), name_(std::move(name)), wanted_(wanted) {}

void FeatureGatherer::add(at::ArrayRef<at::Tensor> images, at::ArrayRef<int64_t> labels) {
  if (!labels.empty() && labels.size() != images.size())
    throw std::invalid_argument("features: expected a label for each of " + std::to_string(images.size()) +
                                " images, got " + std::to_string(labels.size()));
  const auto count = static_cast<int64_t>(images.size());
  std::vector<Features> seen(static_cast<size_t>((count + kBatch - 1) / kBatch));
  kernels::side_by_side(static_cast<int64_t>(seen.size()), [&](int64_t i) {
    const int64_t begin = i * kBatch;
    const auto part =
        images.slice(static_cast<size_t>(begin), static_cast<size_t>(std::min(kBatch, count - begin)));
    seen[static_cast<size_t>(i)] = look_at(*network_, part, wanted_);
  });
  std::ranges::move(seen, std::back_inserter(batches_));
  labels_.insert(labels_.end(), labels.begin(), labels.end());
  labels_.resize(labels_.size() + images.size() - labels.size(), -1);
}

FeatureSet FeatureGatherer::finish() {
  if (batches_.empty()) throw std::invalid_argument("features: expected at least one image, got none");
  return assembled(name_, *network_, std::exchange(batches_, {}), std::exchange(labels_, {}));
}

std::optional<FeatureSet> gather(const FeatureNetwork& network, const data::ImageSource& source,
                                 const GatherOptions& options) {
  const int64_t total = source.size();
  std::vector<Seen> batches(static_cast<size_t>((total + kBatch - 1) / kBatch));
  std::atomic<bool> stopped = false, failed = false;  // failed: the result is an error, no network is needed
  std::mutex mutex;
  int64_t done = 0;
  kernels::side_by_side(static_cast<int64_t>(batches.size()), [&](int64_t batch) {
    if (stopped) return;
    auto& seen = batches[static_cast<size_t>(batch)];
    std::vector<at::Tensor> images;
    const int64_t end = std::min(total, (batch + 1) * kBatch);
    for (int64_t i = batch * kBatch; i < end && !stopped; ++i) {
      try {
        auto image = source.read(i);
        images.push_back(std::move(image.pixels));
        seen.labels.push_back(image.label);
      } catch (const io::InputError& error) {
        seen.bad.emplace_back(error.what());
        if (!options.skip_bad) failed = true;
      }
    }
    if (!images.empty() && !failed && !stopped) seen.features = look_at(network, images, options.wanted);
    const std::lock_guard lock(mutex);
    done += end - batch * kBatch;
    if (options.progress && !stopped && !options.progress(done, total)) stopped = true;
  });
  if (stopped) return std::nullopt;

  std::vector<Features> features;
  std::vector<int64_t> labels;
  std::vector<std::string> bad;
  for (auto& seen : batches) {
    bad.insert(bad.end(), seen.bad.begin(), seen.bad.end());
    if (seen.labels.empty()) continue;
    features.push_back(std::move(seen.features));
    labels.insert(labels.end(), seen.labels.begin(), seen.labels.end());
  }
  if (failed || labels.empty()) throw io::InputError(bad_images(source, bad));
  auto set = assembled(source.name(), network, std::move(features), labels);
  set.bad = std::move(bad);
  return set;
}

}  // namespace switchyard::metrics

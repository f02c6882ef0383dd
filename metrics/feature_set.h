// The features of a set of images: what every metric is computed from, so that each image goes through the network once.
//
// Images come in two ways: pushed in batches by whoever makes them (a model that draws), or read from a source.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/image_source.h"
#include "metrics/feature_network.h"

namespace switchyard::metrics {

/// Images that cannot be read, one to a line, each line begun by a newline; of many the first 20 and how many more.
std::string lines_of(const std::vector<std::string>& bad);

struct FeatureSet {
  std::string name;  // of the images, for people
  NetworkFacts network;
  at::Tensor features;         // [N, D] fp32, as the rest on the CPU and in the order of the images
  at::Tensor spatial, logits;  // [N, 2023], [N, 1008] fp32; undefined unless wanted and the network has them
  at::Tensor labels;           // [N] int64, -1 where unknown
  std::vector<std::string> bad;  // images passed over: name and fault

  int64_t size() const { return features.size(0); }
};

/// What to keep beside the features.
struct Wanted {
  bool spatial = false;  // for sFID
  bool logits = false;   // for the inception score
};

class FeatureGatherer {
 public:
  /// `network` must outlive it.
  FeatureGatherer(const FeatureNetwork& network, std::string name, Wanted wanted = {});

  /// images: [H, W, 3] uint8, sizes may differ; labels: one for each, or none. On all cores; call it from one thread at a
  /// time. Any number of images per call: 32 and more per core are quickest.
  void add(at::ArrayRef<at::Tensor> images, at::ArrayRef<int64_t> labels = {});

  int64_t size() const { return static_cast<int64_t>(labels_.size()); }

  /// What was added; the gatherer is empty afterwards. Throws std::invalid_argument when that is nothing.
  FeatureSet finish();

 private:
  const FeatureNetwork* network_;
  std::string name_;
  Wanted wanted_;
  std::vector<Features> batches_;
  std::vector<int64_t> labels_;
};

struct GatherOptions {
  Wanted wanted = {};
  bool skip_bad = false;  // pass over images that cannot be read
  std::function<bool(int64_t done, int64_t total)> progress =
      {};  // on any thread, one at a time; false: stop
};

/// The features of a whole source: decoded and looked at on all cores, in batches. Nothing when stopped. Unless skip_bad,
/// images that cannot be read are an io::InputError that counts and names them, thrown after all have been looked at; with
/// it they are named in the result. No readable image at all is an io::InputError.
std::optional<FeatureSet> gather(const FeatureNetwork& network, const data::ImageSource& source,
                                 const GatherOptions& options = {});

}  // namespace switchyard::metrics

// How far a set of images is from a reference, by every metric that the two allow; each number with its error, its count,
// and what the same metric says of real images against other real images.
//
// The real-against-real floor: of a reference of R images and a set of N, two halves of min(N, R / 2) reference images are
// drawn at random, without overlap, and measured against each other. The ratio is the set's distance at that same size (as
// many of its images against each half, averaged) over the floor, so both carry the same bias of finite sets. 1 means: no
// further from the reference than the reference from itself. Kernel distances have no bias and a floor near 0, so no ratio.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "metrics/reference.h"

namespace switchyard::metrics {

struct Measurement {
  std::string key;   // "frechet", "recall", ...: one of measurement_keys(), for programs
  std::string name;  // "FD-EfficientNet-Lite0", "KID x 1000", "recall", for people
  double value = 0;
  std::optional<double> error;  // standard error; the 95 % interval is value +- 1.96 error
  std::string error_of;         // how that was found: "40 resampled sets"
  std::optional<double> floor, ratio;
  int64_t count = 0, reference_count = 0;  // images of both sets; 0: unknown
  int64_t floor_count = 0;                 // images in each half
  std::string settings;                    // "k = 3"
};

struct Comparison {
  std::string images, reference;  // names of the two sets
  NetworkFacts network;
  int64_t count = 0, reference_count = 0;
  std::vector<Measurement> measurements;
  std::vector<std::string> bad;       // images passed over, of both sets
  std::vector<std::string> warnings;  // what a reader of the numbers should know
};

/// What can be asked for, in the order of a table: frechet, spatial-frechet (sFID), kernel (KID), inception-score,
/// precision-recall (with density and coverage), sliced-wasserstein, class-agreement (of labelled sets).
const std::vector<std::string>& metric_names();

/// Throws std::invalid_argument, with the near misses, for a name that is none of these.
void check_metrics(const std::vector<std::string>& metrics);

struct CompareOptions {
  std::vector<std::string> metrics;  // of metric_names(); empty: all that the network and the reference allow
  int64_t resamples = 40;            // for the standard errors; 0: none
  int64_t subsets = 100, subset_size = 1000;  // of the kernel distance; at most half of the smaller set
  int64_t splits = 10;                        // of the inception score
  int64_t neighbours = 3;                     // k
  int64_t most_neighbours = 10'000;           // rows of either set; random ones of a larger set
  bool floor = true, infinity = true;
  uint64_t seed = 0;
  std::function<bool(double done, const std::string& what)> progress = {};  // done: 0 .. 1; false: stop
};

/// What these metrics need beside the features.
Wanted wanted_for(const std::vector<std::string>& metrics);

/// Nothing when stopped. Throws std::invalid_argument for an unknown metric (with its near misses), one that network or
/// reference do not allow, and for sets of different networks.
std::optional<Comparison> compare(const FeatureSet& images, const Reference& reference,
                                  const CompareOptions& options = {});

}  // namespace switchyard::metrics

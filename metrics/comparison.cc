#include "metrics/comparison.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "data/random.h"
#include "io/near_misses.h"
#include "metrics/class_agreement.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/neighbours.h"
#include "metrics/report.h"
#include "metrics/sliced_wasserstein.h"
#include "metrics/spread.h"

namespace switchyard::metrics {
namespace {

constexpr int64_t kSizes = 8;  // of the extrapolation

// Thrown where the caller asked to stop, caught in compare().
struct Stopped {};

at::Tensor random_rows(const at::Tensor& rows, int64_t n, uint64_t seed) {
  return n >= rows.size(0) ? rows : rows.index_select(0, data::shuffled(rows.size(0), seed).narrow(0, 0, n));
}

double binomial_error(double share, int64_t n) {
  return std::sqrt(share * (1 - share) / static_cast<double>(n));
}

// Equally many rows of the set and of two halves of the reference.
struct Halves {
  at::Tensor images, first, second;
  int64_t count() const { return first.size(0); }
};

class Comparing {
 public:
  Comparing(const FeatureSet& images, const Reference& reference, const CompareOptions& options)
      : images_(images), reference_(reference), options_(options) {}

  Comparison run() {
    const auto metrics = chosen();
    result_.images = images_.name;
    result_.reference = reference_.name;
    result_.network = images_.network;
    result_.count = images_.size();
    result_.reference_count = reference_.set ? reference_.set->size() : reference_.moments->count;
    result_.bad = images_.bad;
    if (reference_.set)
      result_.bad.insert(result_.bad.end(), reference_.set->bad.begin(), reference_.set->bad.end());
    for (size_t i = 0; i < metrics.size(); ++i) {
      begin_ = static_cast<double>(i) / static_cast<double>(metrics.size());
      share_ = 1 / static_cast<double>(metrics.size());
      measure(metrics[i]);
    }
    warn();
    return std::move(result_);
  }

 private:
  std::string why_not(const std::string& metric) const {
    if (metric == "frechet") return "";
    if (metric == "spatial-frechet") {
      if (!images_.spatial.defined()) return "the network has no spatial features, or they were not gathered";
      const bool known = reference_.spatial || (reference_.set && reference_.set->spatial.defined());
      return known ? "" : "the reference has no spatial statistics (mu_s, sigma_s)";
    }
    if (metric == "inception-score")
      return images_.logits.defined() ? "" : "the network has no classes, or they were not gathered";
    if (metric == "class-agreement") {
      const auto labelled = [](const at::Tensor& labels) {
        return labels.defined() && labels.numel() > 0 && labels.min().item<int64_t>() >= 0;
      };
      if (!labelled(images_.labels)) return "the images have no labels";
      if (!reference_.set || !labelled(reference_.set->labels))
        return "the reference has no images with labels";
      const auto classes = reference_.set->labels.max().item<int64_t>() + 1;
      return reference_.set->size() >= 20 * classes ? "" : "the reference has fewer than 20 images per class";
    }
    return reference_.set ? "" : "the reference has statistics only, no images";
  }

  std::vector<std::string> chosen() const {
    std::vector<std::string> metrics;
    if (options_.metrics.empty()) {
      for (const auto& metric : metric_names())
        if (why_not(metric).empty()) metrics.push_back(metric);
      return metrics;
    }
    for (const auto& metric : metric_names()) {
      if (std::ranges::find(options_.metrics, metric) == options_.metrics.end()) continue;
      if (const auto why = why_not(metric); !why.empty())
        throw std::invalid_argument("the metric \"" + metric + "\" cannot be computed: " + why);
      metrics.push_back(metric);
    }
    return metrics;
  }

  void show(double done, const std::string& what) const {
    if (options_.progress && !options_.progress(begin_ + share_ * done, what)) throw Stopped();
  }

  // Asked between pieces of a metric, of which there are about so many.
  Stop stop_after(int64_t pieces, const std::string& what) const {
    return [this, pieces, what, piece = int64_t{0}]() mutable {
      show(std::min(1.0, static_cast<double>(piece++) / static_cast<double>(pieces)), what);
      return false;
    };
  }

  std::optional<Halves> halves(at::Tensor FeatureSet::*field, int64_t most = INT64_MAX) const {
    if (!options_.floor || !reference_.set || !((*reference_.set).*field).defined()) return std::nullopt;
    const auto& real = (*reference_.set).*field;
    const int64_t n = std::min({real.size(0) / 2, images_.size(), most});
    if (n < 2) return std::nullopt;
    const auto order = data::shuffled(real.size(0), options_.seed);
    return Halves{random_rows(images_.*field, n, options_.seed), real.index_select(0, order.narrow(0, 0, n)),
                  real.index_select(0, order.narrow(0, n, n))};
  }

  Measurement& add(std::string key, std::string name, double value) {
    Measurement measurement;
    measurement.key = std::move(key);
    measurement.name = std::move(name);
    measurement.value = value;
    measurement.count = result_.count;
    measurement.reference_count = result_.reference_count;
    return result_.measurements.emplace_back(std::move(measurement));
  }

  void measure(const std::string& metric) {
    show(0, metric);
    const auto& network = images_.network;
    if (metric == "frechet")
      frechet("frechet", network.distance, &FeatureSet::features, reference_.moments);
    else if (metric == "spatial-frechet")
      frechet("spatial-frechet", "s" + network.distance, &FeatureSet::spatial, reference_.spatial);
    else if (metric == "kernel")
      kernel();
    else if (metric == "inception-score")
      score();
    else if (metric == "precision-recall")
      nearest();
    else if (metric == "class-agreement")
      agreement();
    else
      sliced();
  }

  void frechet(const std::string& key, const std::string& name, at::Tensor FeatureSet::*field,
               const std::optional<Moments>& stated) {
    const auto moments = stated ? *stated : moments_of((*reference_.set).*field);
    const auto& rows = images_.*field;
    const FrechetReference to(moments);
    const auto pieces = options_.resamples + (options_.infinity ? kSizes : 0) + 6;
    const auto stop = stop_after(pieces, name);
    auto& measured = add(key, name, to.distance(rows));
    if (moments.count > 0 || stated) measured.reference_count = moments.count;
    if (options_.resamples > 1) {
      measured.error = frechet_bootstrap(to, rows, options_.resamples, options_.seed, stop);
      measured.error_of = std::to_string(options_.resamples) + " resampled sets";
    }
    if (const auto half = halves(field)) {
      stop();
      const FrechetReference first(moments_of(half->first)), second(moments_of(half->second));
      stop();
      measured.floor = first.distance(half->second);
      measured.ratio = (first.distance(half->images) + second.distance(half->images)) / 2 / *measured.floor;
      measured.floor_count = half->count();
    }
    // Sets of fewer images than features do not yet follow the line.
    if (!options_.infinity || rows.size(0) < 4 * std::max(kSizes, rows.size(1))) return;
    const int64_t reference_count = measured.reference_count;  // before `add` moves it
    const auto infinite = *frechet_at_infinity(to, rows, kSizes, options_.seed, stop);
    auto& extrapolated = add(key + "-at-infinity", name + " at infinity", infinite.distance);
    extrapolated.error = infinite.standard_error;
    extrapolated.error_of = "scatter about the line";
    extrapolated.reference_count = reference_count;
    extrapolated.settings = "line in 1/n through " + std::to_string(kSizes) + " sizes from n/4";
  }

  void kernel() {
    const auto &a = images_.features, &b = reference_.set->features;
    const int64_t smaller = std::min(a.size(0), b.size(0));
    const int64_t size = std::clamp<int64_t>(smaller / 2, 2, options_.subset_size);
    if (smaller < 4) return;
    const auto stop = stop_after(2 * options_.subsets, images_.network.kernel_distance);
    const auto found = *kernel_distance(a, b, options_.subsets, size, options_.seed, stop);
    auto& measured = add("kernel", images_.network.kernel_distance + " x 1000", 1000 * found.mean);
    measured.error =
        1000 * found.deviation * std::sqrt(static_cast<double>(size) / static_cast<double>(smaller));
    measured.error_of = "deviation over subsets x sqrt(subset / images)";
    measured.settings = std::to_string(options_.subsets) + " subsets of " + thousands(size) + ", deviation " +
                        c10::str(std::round(1e5 * found.deviation) / 100);
    if (const auto half = halves(&FeatureSet::features); half && half->count() >= 4) {
      const auto inner = std::clamp<int64_t>(half->count() / 2, 2, size);
      measured.floor =
          1000 *
          kernel_distance(half->first, half->second, options_.subsets, inner, options_.seed, stop)->mean;
      measured.floor_count = half->count();
    }
  }

  void score() {
    const auto score_of = [&](const at::Tensor& logits) {
      return inception_score(logits.index_select(0, data::shuffled(logits.size(0), options_.seed)),
                             options_.splits);
    };
    if (images_.size() < options_.splits) return;
    const auto found = score_of(images_.logits);
    auto& measured = add("inception-score", "inception score", found.mean);
    measured.error = found.deviation / std::sqrt(static_cast<double>(options_.splits));
    measured.error_of = "deviation over splits / sqrt(splits)";
    measured.reference_count = 0;
    measured.settings = std::to_string(options_.splits) + " splits, deviation " +
                        c10::str(std::round(1e3 * found.deviation) / 1e3);
    // The same number of real images, because the score grows with it.
    if (options_.floor && reference_.set && reference_.set->logits.defined() &&
        reference_.set->size() >= options_.splits) {
      const auto real = random_rows(reference_.set->logits, images_.size(), options_.seed);
      measured.floor = score_of(real).mean;
      measured.floor_count = real.size(0);
    }
  }

  void nearest() {
    const int64_t k = options_.neighbours;
    const auto real = random_rows(reference_.set->features, options_.most_neighbours, options_.seed);
    const auto generated = random_rows(images_.features, options_.most_neighbours, options_.seed);
    if (std::min(real.size(0), generated.size(0)) <= k) return;
    const auto blocks = [](int64_t m, int64_t n) { return (m / 1024 + 1) * (n / 4096 + 1); };
    const int64_t m = real.size(0), n = generated.size(0);
    const auto stop = stop_after(2 * (blocks(m, m) + blocks(n, n) + blocks(m, n)), "neighbours");
    const auto found = *neighbours(real, generated, k, stop);
    std::optional<Neighbours> floor;
    const auto half = halves(&FeatureSet::features, options_.most_neighbours);
    if (half && half->count() > k) floor = neighbours(half->first, half->second, k, stop);
    const auto say = [&](const char* name, double Neighbours::*value, int64_t of) {
      auto& measured = add(name, name, found.*value);
      if (of > 0) {
        measured.error = binomial_error(found.*value, of);
        measured.error_of = "binomial";
      }
      if (floor) measured.floor = (*floor).*value;
      measured.floor_count = floor ? half->count() : 0;
      measured.count = n;
      measured.reference_count = m;
      measured.settings = "k = " + std::to_string(k);
    };
    say("precision", &Neighbours::precision, n);
    say("recall", &Neighbours::recall, m);
    say("density", &Neighbours::density, 0);
    say("coverage", &Neighbours::coverage, m);
  }

  void sliced() {
    const auto &a = images_.features, &b = reference_.set->features;
    const auto stop = stop_after(options_.resamples + 4, "sliced Wasserstein");
    const auto distance = [&](const at::Tensor& x, const at::Tensor& y) {
      stop();
      return sliced_wasserstein(x, y, options_.seed);
    };
    auto& measured = add("sliced-wasserstein", "sliced Wasserstein", distance(a, b));
    measured.settings = "512 directions at most";
    if (options_.resamples > 1) {
      std::vector<double> values;
      for (int64_t i = 0; i < options_.resamples; ++i) {
        const auto counts =
            data::resampled_counts(a.size(0), options_.seed + static_cast<uint64_t>(i)).to(at::kLong);
        values.push_back(distance(a.repeat_interleave(counts, 0), b));
      }
      measured.error = spread_of(values, 1).deviation;
      measured.error_of = std::to_string(options_.resamples) + " resampled sets";
    }
    if (const auto half = halves(&FeatureSet::features)) {
      measured.floor = distance(half->first, half->second);
      measured.ratio =
          (distance(half->images, half->first) + distance(half->images, half->second)) / 2 / *measured.floor;
      measured.floor_count = half->count();
    }
  }

  // Trained on one half of the reference, so that the other can say what a perfect set would get.
  void agreement() {
    const auto& real = *reference_.set;
    const auto halves = data::shuffled(real.size(), options_.seed).chunk(2);
    const auto rows = [&](const at::Tensor& all, size_t half) { return all.index_select(0, halves[half]); };
    const LinearClassifier classifier(rows(real.features, 0), rows(real.labels, 0),
                                      real.labels.max().item<int64_t>() + 1);
    show(0.5, "class agreement");
    auto& measured =
        add("class-agreement", "class agreement", classifier.agreement(images_.features, images_.labels));
    measured.error = binomial_error(measured.value, images_.size());
    measured.error_of = "binomial";
    measured.floor = classifier.agreement(rows(real.features, 1), rows(real.labels, 1));
    measured.floor_count = halves[1].numel();
    measured.reference_count = halves[0].numel();
    measured.settings = "linear classifier on features";
  }

  void warn() {
    auto& warnings = result_.warnings;
    if (!images_.network.warning.empty()) warnings.push_back(images_.network.warning);
    if (!reference_.network_stated)
      warnings.push_back(reference_.name + " does not say which network made it; it is taken to be " +
                         images_.network.name);
    const bool frechet = std::ranges::any_of(
        result_.measurements, [](const auto& m) { return m.key == "frechet" || m.key == "spatial-frechet"; });
    const auto few = [&](const char* what, int64_t n) {
      if (frechet && n > 0 && n < kFewForFrechet)
        warnings.push_back("only " + thousands(n) + " " + what + ": below " + thousands(kFewForFrechet) +
                           " a Frechet distance is mostly the bias of small sets; compare it with the floor");
    };
    few("images", result_.count);
    few("reference images", result_.reference_count);
  }

  const FeatureSet& images_;
  const Reference& reference_;
  const CompareOptions& options_;
  Comparison result_;
  double begin_ = 0, share_ = 1;
};

}  // namespace

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = {"frechet",         "spatial-frechet",  "kernel",
                                                 "inception-score", "precision-recall", "sliced-wasserstein",
                                                 "class-agreement"};
  return names;
}

void check_metrics(const std::vector<std::string>& metrics) {
  const std::vector<std::string_view> known(metric_names().begin(), metric_names().end());
  for (const auto& metric : metrics)
    if (std::ranges::find(known, metric) == known.end())
      throw std::invalid_argument("unknown metric \"" + metric + "\": " + io::near_misses(metric, known));
}

Wanted wanted_for(const std::vector<std::string>& metrics) {
  const auto has = [&](std::string_view name) {
    return metrics.empty() || std::ranges::find(metrics, name) != metrics.end();
  };
  return {has("spatial-frechet"), has("inception-score")};
}

std::optional<Comparison> compare(const FeatureSet& images, const Reference& reference,
                                  const CompareOptions& options) {
  check_metrics(options.metrics);
  if (reference.set && reference.set->network.name != images.network.name)
    throw std::invalid_argument("two sets of different networks: " + images.network.name + " and " +
                                reference.set->network.name);
  try {
    return Comparing(images, reference, options).run();
  } catch (const Stopped&) {
    return std::nullopt;
  }
}

}  // namespace switchyard::metrics

#include "evaluation/model_features.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "io/npz.h"
#include "pipeline/image_set.h"

namespace switchyard::evaluation {
namespace {

namespace fs = std::filesystem;
using metrics::FeatureSet;

constexpr size_t kChunk = 64;  // images: a minute or so of a slow processor

// The features of the plan's images `first` and on, as they are kept.
class Chunks {
 public:
  Chunks(fs::path folder, const metrics::FeatureNetwork& network, metrics::Wanted wanted)
      : folder_(std::move(folder)), network_(network.facts()), wanted_(wanted) {}

  std::optional<FeatureSet> read(size_t first, size_t images) const {
    const auto file = file_of(first);
    if (folder_.empty() || !fs::exists(file)) return std::nullopt;
    auto arrays = io::read_npz(file);
    const auto array = [&](const char* name, bool needed, int64_t width) {
      const auto found = arrays.find(name);
      const bool fits = found != arrays.end() && found->second.dim() == 2 &&
                        found->second.scalar_type() == at::kFloat &&
                        found->second.size(0) == static_cast<int64_t>(images) &&
                        (width == 0 || found->second.size(1) == width);
      return needed && fits ? found->second : at::Tensor();
    };
    FeatureSet set;
    set.features = array("features", true, network_.dimension);
    set.spatial = array("spatial", wanted_.spatial, 0);
    set.logits = array("logits", wanted_.logits, 0);
    const auto lacks = [&](const at::Tensor& part, bool wanted, const char* name) {
      return wanted && !part.defined() && arrays.contains(name);
    };
    if (!set.features.defined() || lacks(set.spatial, wanted_.spatial, "spatial") ||
        lacks(set.logits, wanted_.logits, "logits"))
      return std::nullopt;  // of a smaller set, or gathered for other metrics
    return set;
  }

  void write(size_t first, const FeatureSet& set) const {
    if (folder_.empty()) return;
    std::map<std::string, at::Tensor> arrays{{"features", set.features}};
    if (set.spatial.defined()) arrays.emplace("spatial", set.spatial);
    if (set.logits.defined()) arrays.emplace("logits", set.logits);
    io::write_npz(file_of(first), arrays);
  }

 private:
  // What was gathered for other metrics has another name.
  fs::path file_of(size_t first) const {
    return folder_ / c10::str("features-", network_.hash.substr(0, 10), wanted_.spatial ? "-spatial" : "",
                              wanted_.logits ? "-logits" : "", "-", first, ".npz");
  }

  fs::path folder_;
  metrics::NetworkFacts network_;
  metrics::Wanted wanted_;
};

at::Tensor joined(const std::vector<FeatureSet>& parts, at::Tensor FeatureSet::*member) {
  std::vector<at::Tensor> rows;
  for (const auto& part : parts) {
    if (!(part.*member).defined()) return {};
    rows.push_back(part.*member);
  }
  return at::cat(rows);
}

}  // namespace

std::optional<FeatureSet> features_of(pipeline::Session& session, const pipeline::ImagePlan& plan,
                                      const metrics::FeatureNetwork& network,
                                      const ModelFeaturesOptions& options,
                                      const pipeline::PlanObserver& observer) {
  if (!options.keep.empty()) pipeline::ImageSet::begin(options.keep, describe(session, plan), plan);
  const Chunks chunks(options.keep, network, options.wanted);
  const size_t count = (plan.size() + kChunk - 1) / kChunk;
  const auto images_in = [&](size_t chunk) { return std::min(kChunk, plan.size() - chunk * kChunk); };

  std::vector<FeatureSet> parts(count);
  std::vector<size_t> images;  // to be drawn
  for (size_t chunk = 0; chunk < count; ++chunk) {
    if (auto kept = chunks.read(chunk * kChunk, images_in(chunk))) {
      parts[chunk] = std::move(*kept);
    } else {
      images.resize(images.size() + images_in(chunk));
      std::iota(images.end() - static_cast<std::ptrdiff_t>(images_in(chunk)), images.end(), chunk * kChunk);
    }
  }
  std::vector<at::Tensor> waiting;  // of the chunk that is being drawn
  const auto take = [&](size_t image, const at::Tensor& pixels, const auto&) {
    waiting.push_back(pixels);
    const size_t chunk = image / kChunk;
    if (waiting.size() < images_in(chunk)) return;
    metrics::FeatureGatherer gatherer(network, "", options.wanted);
    gatherer.add(waiting);
    parts[chunk] = gatherer.finish();
    chunks.write(chunk * kChunk, parts[chunk]);
    waiting.clear();
  };
  const auto there = static_cast<int64_t>(plan.size() - images.size());
  if (draw_plan(session, plan, images, there, options.batch_size, take, observer).cancelled)
    return std::nullopt;

  FeatureSet set;
  set.name = session.provenance().model_name;
  set.network = network.facts();
  set.features = joined(parts, &FeatureSet::features);
  set.spatial = joined(parts, &FeatureSet::spatial);
  set.logits = joined(parts, &FeatureSet::logits);
  std::vector<int64_t> labels;
  for (const auto& image : plan.images) labels.push_back(image.label);
  set.labels = at::tensor(labels, at::kLong);
  return set;
}

}  // namespace switchyard::evaluation

// What `switchyard evaluate` does with whatever images come: the network, the reference, the numbers and where they go.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cli/progress.h"
#include "metrics/comparison.h"
#include "metrics/report.h"

namespace switchyard::app {

struct EvaluationOptions {
  std::string reference;  // empty: none, the features are only saved
  std::string network = "efficientnet-lite0", device = "auto";
  std::filesystem::path network_file, json, save_reference;
  std::vector<std::string> metrics;
  int64_t reference_count = 0;  // 0: all, of the solids 10,000
  int64_t resamples = 40, neighbours = 3, seed = 0;
  bool skip_bad = false, over_white = false, quiet = false;
};

/// Adds everything but what to evaluate, and the device.
void add_evaluation_options(CLI::App& command, EvaluationOptions& options);

class Evaluation {
 public:
  /// Opens the network and looks at the options, so that nothing fails after hours. Throws std::invalid_argument,
  /// io::InputError and io::OutputError.
  Evaluation(const EvaluationOptions& options, Progress& progress);

  const metrics::FeatureNetwork& network() const { return *network_; }
  metrics::Wanted wanted() const { return metrics::wanted_for(options_.metrics); }

  /// The features of what lies at `path` (a set of images, or features saved by --save-reference), or of a data set by its
  /// name: "solids" (the held-out ones) or "solids-train", `size` pixels wide. count: so many of it, evenly spread; 0: all.
  /// Throws Cancelled and what gather() does; without --skip-bad, images that cannot be read are an io::InputError.
  metrics::FeatureSet features_of(const std::string& path, int64_t count, int64_t size = 64);

  /// Opens --reference and gathers it; a data set `size` pixels wide. To be called once, before compare().
  void open_reference(int64_t size = 64);

  /// Throws Cancelled.
  metrics::Comparison compare(const metrics::FeatureSet& images);

  /// Writes --save-reference: the reference, or `images` where there is none.
  void save(const metrics::FeatureSet& images);

  /// The table on stdout, the JSON where --json says.
  void report(const metrics::Comparison& comparison);

  /// The same of several that belong together; `corner` is the head of the rows' labels.
  void report(const std::vector<metrics::Row>& rows, const std::string& corner);

 private:
  void name_bad(const metrics::FeatureSet& set);
  void write(const std::string& table, const nlohmann::json& json);

  const EvaluationOptions& options_;
  Progress& progress_;
  std::unique_ptr<metrics::FeatureNetwork> network_;
  std::optional<metrics::Reference> reference_;
};

}  // namespace switchyard::app

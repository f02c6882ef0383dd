#include "app/cli/evaluation.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "app/cli/interrupt.h"
#include "app/cli/usage.h"
#include "app/program/device.h"
#include "io/atomic_file.h"
#include "io/error.h"
#include "metrics/report.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr auto kReplace = nlohmann::json::error_handler_t::replace;  // of paths that are no UTF-8
constexpr int64_t kSolids = 10'000;

// A line of progress for work that tells its share; false once Ctrl-C was pressed.
auto line_of(Progress& progress, Clock::time_point start = Clock::now()) {
  return [&progress, start](double done, const std::string& what) {
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    progress.show(done, what, done > 0 ? seconds * (1 - done) / done : -1);
    return !interrupted();
  };
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// A data set by its name, whatever lies in the working folder (./solids names that); else what lies there.
std::shared_ptr<const data::ImageSource> open_source(const std::string& path, int64_t count, int64_t size,
                                                     io::Alpha alpha) {
  const bool train = path == "solids-train";
  if (train || path == "solids")
    return data::solids(!train, count > 0 ? count : kSolids, size);
  return data::open_images(path, alpha);
}

// Evenly spread: the first ones of a folder of classes would all be of one class.
std::shared_ptr<const data::ImageSource> some_of(std::shared_ptr<const data::ImageSource> source,
                                                 int64_t count) {
  const int64_t size = source->size();
  if (count == 0 || count == size) return source;
  if (count > size)
    throw io::InputError(source->name() + ": expected at least " + std::to_string(count) + " images, found " +
                         std::to_string(size));
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < count; ++i) indices.push_back(i * size / count);
  return data::subset(std::move(source), std::move(indices));
}

}  // namespace

void add_evaluation_options(CLI::App& command, EvaluationOptions& options) {
  const auto add = option_adder(command);
  add("Reference", "--reference", options.reference, "REF",
      "What to compare with: images like IMAGES, or statistics (.npz with mu and sigma,\n"
      "of pytorch-fid, of ADM, or of --save-reference)");
  add("Reference", "--reference-count", options.reference_count, "N",
      "So many of its images, evenly spread; default: all (of the solids: 10,000)");
  add("Reference", "--save-reference", options.save_reference, "FILE.npz",
      "Keep the reference's features and statistics for the next time\n(without --reference: those of "
      "IMAGES)");
  add("Metrics", "--network", options.network, "NAME",
      "Whose features are compared: " + joined(metrics::network_names()) + ";\ndefault: efficientnet-lite0");
  add("Metrics", "--network-file", options.network_file, "FILE",
      "Its weights; default: found in .networks or PyTorch's cache");
  add("Metrics", "--metrics", options.metrics, "NAME",
      joined(metrics::metric_names()) + ";\nrepeat or separate with commas; default: all that can be had")
      ->allow_extra_args(false)
      ->delimiter(',');
  add("Metrics", "--resamples", options.resamples, "N",
      "Resampled sets from which 95 % intervals of distances come, 0 for none; default: 40");
  add("Metrics", "--neighbours", options.neighbours, "K", "Of precision and recall; default: 3");
  add("Metrics", "--evaluation-seed", options.seed, "S", "Of subsets and resampling; default: 0");
  command
      .add_flag(
          "--over-white", options.over_white,
          "Blend transparent images over white, as train does; without it transparency is dropped, as other\n"
          "programs that measure images do")
      ->group("Metrics");
  command.add_flag("--skip-bad", options.skip_bad, "Go on without images that cannot be read, and name them")
      ->group("Output");
  add("Output", "--json", options.json, "FILE.json",
      "The numbers for programs too; -: on stdout, instead of the table");
  command.add_flag("--quiet", options.quiet, "No progress on stderr")->group("Output");
}

Evaluation::Evaluation(const EvaluationOptions& options, Progress& progress)
    : options_(options), progress_(progress) {
  require_range("--reference-count", options.reference_count, 0, 100'000'000);
  require_range("--resamples", options.resamples, 0, 100'000);
  require_range("--neighbours", options.neighbours, 1, 1000);
  require_range("--evaluation-seed", options.seed, 0, INT64_MAX);
  metrics::check_metrics(options.metrics);
  if (options.reference.empty() && options.save_reference.empty())
    throw std::invalid_argument(
        "nothing to compare with: add --reference (or --save-reference, to keep the features)");
  if (!options.json.empty() && options.json != "-") require_writable("--json", options.json, ".json");
  if (!options.save_reference.empty()) require_writable("--save-reference", options.save_reference, ".npz");
  network_ = metrics::open_network(options.network, options.network_file, device_of(options.device));
  const auto& facts = network_->facts();
  progress_.say(facts.name + ": images to " + std::to_string(facts.side) + " pixels, " + facts.resize);
}

metrics::FeatureSet Evaluation::features_of(const std::string& path, int64_t count, int64_t size) {
  const auto statistics = metrics::statistics_in(path);
  if (statistics > 0 && !metrics::images_in(path)) {
    auto saved = metrics::read_reference(path, network_->facts());
    if (!saved.set) throw io::InputError(path + ": expected images or their features, found statistics only");
    return std::move(*saved.set);
  }
  const auto source = some_of(
      open_source(path, count, size, options_.over_white ? io::Alpha::over_white : io::Alpha::drop), count);
  const auto name = source->name();
  auto set = metrics::gather(
      *network_, *source,
      {wanted(), options_.skip_bad, [&, line = line_of(progress_)](int64_t done, int64_t total) {
         return line(static_cast<double>(done) / static_cast<double>(total),
                     name + ", image " + std::to_string(done) + "/" + std::to_string(total));
       }});
  if (!set) throw Cancelled();
  name_bad(*set);
  return std::move(*set);
}

void Evaluation::open_reference(int64_t size) {
  const auto& path = options_.reference;
  if (path.empty()) return;
  const auto& facts = network_->facts();
  const auto statistics = metrics::statistics_in(path);
  const bool images = statistics > 0 && metrics::images_in(path);
  reference_.emplace().name = path;
  if (statistics > 0 && images && statistics != facts.dimension) {
    progress_.warn("warning: " + path + " has statistics of " + std::to_string(statistics) + " features, " +
                   facts.name + " has " + std::to_string(facts.dimension) + ": its images are used");
  } else if (statistics > 0) {
    reference_ = metrics::read_reference(path, facts);
  }
  if (statistics == 0 || images) {
    reference_->set = features_of(path, options_.reference_count, size);
    reference_->name = reference_->set->name;
  }
}

metrics::Comparison Evaluation::compare(const metrics::FeatureSet& images) {
  const auto comparison = metrics::compare(images, *reference_,
                                           {.metrics = options_.metrics,
                                            .resamples = options_.resamples,
                                            .neighbours = options_.neighbours,
                                            .seed = static_cast<uint64_t>(options_.seed),
                                            .progress = line_of(progress_)});
  if (!comparison) throw Cancelled();
  return *comparison;
}

void Evaluation::name_bad(const metrics::FeatureSet& set) {
  if (set.bad.empty()) return;
  progress_.warn("warning: " + set.name + ": " + std::to_string(set.bad.size()) +
                 " images cannot be read and are left out" + metrics::lines_of(set.bad));
}

void Evaluation::save(const metrics::FeatureSet& images) {
  if (options_.save_reference.empty()) return;
  if (reference_ && !reference_->set)
    throw std::invalid_argument("--save-reference: " + reference_->name + " has no images, only statistics");
  metrics::write_reference(options_.save_reference, reference_ ? *reference_->set : images);
}

void Evaluation::report(const metrics::Comparison& comparison) {
  write(metrics::text_of(comparison), metrics::json_of(comparison));
}

void Evaluation::report(const std::vector<metrics::Row>& rows, const std::string& corner) {
  write(metrics::markdown_of(rows, corner), metrics::json_of(rows));
}

void Evaluation::write(const std::string& table, const nlohmann::json& json) {
  const auto text = json.dump(2, ' ', false, kReplace);
  progress_.result(options_.json == "-" ? text : table);
  if (!options_.json.empty() && options_.json != "-") io::write_file(options_.json, text + "\n");
}

}  // namespace switchyard::app

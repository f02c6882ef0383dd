// switchyard evaluate: how far images are from a reference, those of files or those that a model draws.
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "app/cli/commands.h"
#include "app/cli/evaluation.h"
#include "app/cli/idle_options.h"
#include "app/cli/interrupt.h"
#include "app/cli/sample_options.h"
#include "app/cli/set_progress.h"
#include "app/cli/usage.h"
#include "evaluation/expert_worth.h"
#include "evaluation/model_features.h"
#include "pipeline/classes.h"
#include "pipeline/session.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string images;
  int64_t count = 0;
  EvaluationOptions evaluation;

  // Where a model draws them.
  DrawingOptions drawing;
  std::vector<std::string> classes;
  std::string balance = "equal";
  int64_t seed = 0;
  fs::path keep;
  bool rank_experts = false;
  std::vector<int64_t> layers;
};

constexpr int64_t kDrawn = 500;

// Draws and measures, each set that the options ask for.
class ModelEvaluation {
 public:
  ModelEvaluation(const Options& options, Evaluation& evaluation, Progress& progress)
      : options_(options),
        evaluation_(evaluation),
        progress_(progress),
        session_(session_options(options.drawing)) {
    const auto chosen = settings_of(options.drawing, {}, session_.file());
    settings_ = chosen.settings;
    recipe_ = recipe_of(options.drawing, {}, session_.config());
    progress.say(chosen.sentence);
    for (const auto& sentence : idle_settings(options.drawing.settings, chosen))
      progress.warn("warning: " + sentence);
  }

  void run() {
    if (options_.rank_experts) return rank();
    const auto set = features(recipe_, options_.keep, "");
    evaluation_.open_reference(session_.image_size());
    evaluation_.save(set);
    if (!options_.evaluation.reference.empty()) evaluation_.report(evaluation_.compare(set));
  }

 private:
  metrics::FeatureSet features(const pipeline::RoutingRecipe& recipe, const fs::path& keep,
                               const std::string& what) {
    const auto& config = session_.config();
    const auto plan = pipeline::balanced_plan(
        config, pipeline::find_classes(config, options_.classes),
        pipeline::balance_from_name(options_.balance), options_.count > 0 ? options_.count : kDrawn,
        static_cast<uint64_t>(options_.seed), {.settings = settings_, .recipe = recipe});
    auto observer = plan_observer(progress_);
    observer.progress = [&](const pipeline::PlanProgress& now) {
      progress_.show(
          now.done(),
          what + "drawing, image " + std::to_string(now.whole()) + "/" + std::to_string(now.images),
          now.seconds_left());
      return !interrupted();
    };
    auto set = evaluation::features_of(session_, plan, evaluation_.network(),
                                       {evaluation_.wanted(), options_.drawing.batch, keep}, observer);
    if (!set) throw Cancelled();
    return std::move(*set);
  }

  void rank() {
    if (options_.evaluation.reference.empty())
      throw std::invalid_argument("--rank-experts needs a --reference");
    const auto ablations = evaluation::ablations(session_.config(), options_.layers, recipe_);
    evaluation_.open_reference(session_.image_size());
    std::vector<metrics::Row> rows;
    for (size_t i = 0; i < ablations.size(); ++i) {
      const auto& [label, recipe] = ablations[i];
      const auto keep = options_.keep.empty() ? fs::path() : options_.keep / std::to_string(i);
      const auto set = features(
          recipe, keep, std::to_string(i + 1) + "/" + std::to_string(ablations.size()) + ", " + label + ", ");
      rows.push_back({label, evaluation_.compare(set)});
    }
    // The worst to miss first, by the first metric.
    const auto value = [](const metrics::Row& row) {
      const auto& all = row.comparison.measurements;
      return all.empty() ? 0.0 : all.front().value;
    };
    std::stable_sort(rows.begin() + 1, rows.end(),
                     [&](const auto& a, const auto& b) { return value(a) > value(b); });
    evaluation_.report(rows, "the model");
  }

  const Options& options_;
  Evaluation& evaluation_;
  Progress& progress_;
  pipeline::Session session_;
  pipeline::Settings settings_;
  pipeline::RoutingRecipe recipe_;
};

void evaluate(const Options& options) {
  require_range("--count", options.count, 0, kMaxImages);
  require_range("--seed", options.seed, 0, INT64_MAX);
  require_range("--batch", options.drawing.batch, 1, 4096);
  Progress progress(options.evaluation.quiet);
  Evaluation evaluation(options.evaluation, progress);
  if (options.images.empty()) return ModelEvaluation(options, evaluation, progress).run();
  if (!options.drawing.model.file.empty() || options.rank_experts || !options.keep.empty())
    throw std::invalid_argument(
        "IMAGES are there already: --model, --keep and --rank-experts are for drawing them");
  const auto images = evaluation.features_of(options.images, options.count);
  evaluation.open_reference();
  evaluation.save(images);
  if (!options.evaluation.reference.empty()) evaluation.report(evaluation.compare(images));
}

}  // namespace

void add_evaluate_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command = *program.add_subcommand(
      "evaluate", "Measure how far images, or those of a model, are from a reference");
  const auto add = option_adder(command);
  constexpr const char *kWhat = "Options", *kDrawing = "Images of a model";
  add(kWhat, "images", options->images, "IMAGES",
      "A folder or .zip of PNG and JPEG files, an .npz (arr_0), .npy or IDX file; solids or\n"
      "solids-train, what the embedded model learned from (./solids: a folder of that name); or an\n"
      ".npz of --save-reference. Left out: the model draws them");
  add(kWhat, "--count", options->count, "N",
      "So many of the images, evenly spread; default: all. Of a model: 500");
  add(kDrawing, "--class", options->classes, "NAME", "Of these classes; default: of all")
      ->allow_extra_args(false)
      ->delimiter(',');
  add(kDrawing, "--balance", options->balance, "NAME", "Classes: equal or random; default: equal");
  add(kDrawing, "--seed", options->seed, "S", "Seed of the first; default: 0");
  add(kDrawing, "--keep", options->keep, "DIR",
      "Keep their features here as they come: a run that was ended goes on");
  command.add_flag("--rank-experts", options->rank_experts, "A table of what the set is without each expert")
      ->group(kDrawing);
  add(kDrawing, "--layers", options->layers, "L",
      "Of --rank-experts: each expert of these layers; default: of all layers at once")
      ->allow_extra_args(false)
      ->delimiter(',');
  add_drawing_options(command, options->drawing);
  add_evaluation_options(command, options->evaluation);
  command.footer(
      "Example: what the embedded model draws, against images it has not learned from\n"
      "  switchyard evaluate --count 500 --reference solids --reference-count 2000");
  command.callback([options] {
    options->evaluation.device = options->drawing.device;
    evaluate(*options);
  });
}

}  // namespace switchyard::app

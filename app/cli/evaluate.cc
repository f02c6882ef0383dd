// switchyard evaluate: how far images are from a reference.
#include <algorithm>
#include <memory>
#include <stdexcept>

#include "app/cli/commands.h"
#include "app/cli/evaluation.h"
#include "app/cli/usage.h"

namespace switchyard::app {
namespace {

struct Options {
  std::string images;
  int64_t count = 0;
  EvaluationOptions evaluation;
};

void evaluate(const Options& options) {
  require_range("--count", options.count, 0, 100'000'000);
  Progress progress(options.evaluation.quiet);
  Evaluation evaluation(options.evaluation, progress);
  const auto images = evaluation.features_of(options.images, options.count);
  evaluation.open_reference();
  evaluation.save(images);
  if (!options.evaluation.reference.empty()) evaluation.report(evaluation.compare(images));
}

}  // namespace

void add_evaluate_command(CLI::App& program) {
  auto options = std::make_shared<Options>();
  auto& command = *program.add_subcommand("evaluate", "Measure how far a set of images is from a reference");
  command
      .add_option("images", options->images,
                  "A folder or .zip of PNG and JPEG files, an .npz (arr_0), .npy or IDX file; solids or\n"
                  "solids-train, what the embedded model learned from; or an .npz of --save-reference")
      ->type_name("IMAGES")
      ->required();
  command.add_option("--count", options->count, "So many of the images, evenly spread; default: all")
      ->type_name("N");
  add_evaluation_options(command, options->evaluation);
  command.footer(
      "Example: what the embedded model draws, against images it has not learned from\n"
      "  switchyard sample --count 200 --out drawn\n"
      "  switchyard evaluate drawn --reference solids");
  command.callback([options] { evaluate(*options); });
}

}  // namespace switchyard::app

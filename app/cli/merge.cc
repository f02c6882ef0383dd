// switchyard merge: the parts of a set of images as one.
#include <memory>

#include "app/cli/commands.h"
#include "app/cli/progress.h"
#include "app/cli/set_progress.h"
#include "app/cli/usage.h"
#include "pipeline/image_set.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;

struct MergeOptions {
  std::vector<fs::path> folders;
  fs::path npz;
  bool quiet = false;
};

void merge(const MergeOptions& options) {
  std::vector<pipeline::ImageSet> parts;
  for (const auto& folder : options.folders) parts.push_back(pipeline::ImageSet::open(folder));
  const auto files = pipeline::merged(parts);
  Progress progress(options.quiet);
  progress.say("all " + std::to_string(files.size()) + " images are there, each once");
  if (options.npz.empty()) return;
  require_writable("--npz", options.npz, ".npz");
  pack(files, parts.front().entries(), options.npz, progress);
  progress.result(options.npz.string());
}

}  // namespace

void add_merge_command(CLI::App& program) {
  auto options = std::make_shared<MergeOptions>();
  auto& command = *program.add_subcommand("merge", "Check that a set of images is complete, and pack it");
  command.add_option("folders", options->folders, "The folder that all shards filled, or one of each shard")
      ->required()
      ->type_name("DIR");
  command.add_option("--npz", options->npz, "Pack the images as ADM's evaluation takes them: arr_0, arr_1")
      ->type_name("FILE.npz");
  command.add_flag("--quiet", options->quiet, "No progress on stderr");
  command.footer(
      "Example: eight processes, then one file\n"
      "  switchyard sample --count 50000 --set images --shard 1/8   (and 2/8 .. 8/8)\n"
      "  switchyard merge images --npz samples.npz");
  command.callback([options] { merge(*options); });
}

}  // namespace switchyard::app

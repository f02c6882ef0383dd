#include "app/cli/sample_set.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/cli/interrupt.h"
#include "app/cli/set_progress.h"
#include "app/cli/shard.h"
#include "app/cli/usage.h"
#include "pipeline/classes.h"
#include "pipeline/fill_set.h"
#include "pipeline/routing_load.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

void require_no_other_outputs(const SampleOptions& options) {
  const std::pair<const char*, bool> others[] = {
      {"--grid", !options.grid.empty()},       {"--map", !options.map.empty()},
      {"--routing", !options.routing.empty()}, {"--no-images", options.no_images},
      {"--from", !options.from.empty()},       {"--out", options.out != "."}};
  for (const auto& [name, given] : others) {
    if (given) throw std::invalid_argument(std::string(name) + " is not for a set (--set, --npz)");
  }
}

pipeline::ImagePlan plan_of(const SampleOptions& options, const dit::ModelConfig& config,
                            const pipeline::Variant& variant) {
  if (!options.set.list.empty()) {
    if (!options.classes.empty() || options.seed || options.count != 1)
      throw std::invalid_argument("--list says what to draw: leave out --class, --seed and --count");
    return pipeline::read_image_list(options.set.list, config, variant);
  }
  require_range("--count", options.count, 1, kMaxImages);
  return pipeline::balanced_plan(config, pipeline::find_classes(config, options.classes),
                                 pipeline::balance_from_name(options.set.balance), options.count,
                                 first_seed_of(options, {}), variant);
}

pipeline::Shard shard_of(const SetOptions& options, Progress& progress) {
  if (!options.shard.empty()) return shard_from_text(options.shard);
  const auto from_launcher = shard_from_environment();
  if (!from_launcher) return {};
  const auto& [shard, launcher] = *from_launcher;
  progress.say("shard " + std::to_string(shard.index + 1) + " of " + std::to_string(shard.of) + ", as " +
               launcher + " says");
  return shard;
}

std::string rate_text(double images, double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f images/s", seconds > 0 ? images / seconds : 0);
  return text;
}

void show(const pipeline::PlanProgress& now, Progress& progress) {
  progress.show(now.done(),
                "image " + std::to_string(now.whole()) + "/" + std::to_string(now.images) + ", " +
                    rate_text(now.drawn, now.seconds),
                now.seconds_left());
}

Json summary(const pipeline::PlanDrawn& filled, const pipeline::ImageSet& set, int64_t missing,
             const pipeline::Shard& shard, const std::string& sentence) {
  const auto& done = filled.progress;
  return {{"images", set.entries().size()},
          {"missing", missing},
          {"shard", std::to_string(shard.index + 1) + "/" + std::to_string(shard.of)},
          {"there", done.there},
          {"drawn", static_cast<int64_t>(done.drawn)},
          {"seconds", done.seconds},
          {"images_per_second", done.seconds > 0 ? done.drawn / done.seconds : 0},
          {"batch_size", filled.batch_size},
          {"settings", sentence}};
}

}  // namespace

void sample_set(const SampleOptions& options, pipeline::Session& session, const pipeline::Variant& variant,
                const std::string& sentence, Progress& progress) {
  require_no_other_outputs(options);
  const auto shard = shard_of(options.set, progress);
  const bool pack_it = !options.set.npz.empty();
  if (pack_it && shard.of > 1)
    throw std::invalid_argument(
        "--npz packs a whole set: fill it by --set and --shard, then switchyard merge");
  if (pack_it) require_writable("--npz", options.set.npz, ".npz");
  const auto plan = plan_of(options, session.config(), variant);
  const auto folder =
      options.set.folder.empty() ? fs::path(options.set.npz.string() + ".images") : options.set.folder;
  const auto set = pipeline::ImageSet::begin(folder, pipeline::describe(session, plan), plan);

  pipeline::RoutingLoad load;
  auto observer = plan_observer(progress);
  observer.progress = [&](const pipeline::PlanProgress& now) { return show(now, progress), !interrupted(); };
  if (options.set.routing_stats)
    observer.routing = [&](const auto& routing) { return load.add(routing), true; };
  const auto filled = pipeline::fill(session, plan, set, {shard, options.batch}, observer);
  if (filled.cancelled) throw Cancelled();

  const auto& done = filled.progress;
  const auto missing = shard.of > 1 ? static_cast<int64_t>(set.missing().size()) : 0;  // looks at every file
  progress.say(std::to_string(static_cast<int64_t>(done.drawn)) + " images in " +
               duration_text(done.seconds) + " (" + rate_text(done.drawn, done.seconds) + "), " +
               std::to_string(done.there) + " were there");
  if (missing > 0) progress.say(std::to_string(missing) + " images of the set are for other shards to draw");
  if (pack_it) {
    std::vector<fs::path> files;
    for (size_t i = 0; i < set.entries().size(); ++i) files.push_back(set.file(i));
    pack(files, set.entries(), options.set.npz, progress);
    if (options.set.folder.empty()) fs::remove_all(folder);  // it only waited for that
  }

  auto json = summary(filled, set, missing, shard, sentence);
  if (options.set.routing_stats) json["routing"] = load.json();
  if (options.set.json) {
    progress.result(json.dump(2));
  } else {
    progress.result((pack_it ? options.set.npz : folder).string());
    if (options.set.routing_stats) progress.result(load.text());
  }
}

}  // namespace switchyard::app

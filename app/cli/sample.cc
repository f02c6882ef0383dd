// switchyard sample: draws images.
#include <ATen/ATen.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>

#include "app/commands.h"
#include "app/interrupt.h"
#include "app/model_argument.h"
#include "app/progress.h"
#include "app/threads.h"
#include "app/usage.h"
#include "io/atomic_file.h"
#include "io/error.h"
#include "io/png.h"
#include "kernels/linear.h"
#include "pipeline/generate.h"
#include "pipeline/image_grid.h"
#include "pipeline/metadata.h"
#include "pipeline/routing_picture.h"
#include "pipeline/routing_record.h"
#include "sampler/near_misses.h"
#include "sampler/noise.h"
#include "sampler/time_grid.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxSteps = 10'000;
constexpr int64_t kMaxImages = 10'000'000;
constexpr int64_t kMaxGridSide = 32'768;  // of a PNG file
constexpr int64_t kGridGap = 2;

// What is not given comes from the image of --from, or else is the default.
struct Options {
  fs::path model, out = ".", grid, routing, map, from;
  std::vector<std::string> classes;
  std::optional<uint64_t> seed;
  std::optional<int> steps;
  std::optional<double> shift, guidance;
  std::optional<std::pair<double, double>> guidance_interval;
  std::optional<std::string> solver, dtype;
  int64_t count = 1, batch = 16, zoom = 1;
  std::optional<int64_t> columns;
  bool no_images = false, quiet = false;
};

using Stored = std::optional<pipeline::StoredImage>;

pipeline::Settings settings_of(const Options& options, const Stored& stored) {
  auto settings = stored ? stored->settings : pipeline::Settings{};
  if (options.solver) settings.solver = sampler::solver_from_name(*options.solver);
  settings.steps = options.steps.value_or(settings.steps);
  settings.shift = options.shift.value_or(settings.shift);
  settings.guidance.scale = options.guidance.value_or(settings.guidance.scale);
  if (options.guidance_interval) {
    std::tie(settings.guidance.t_low, settings.guidance.t_high) = *options.guidance_interval;
  }
  require_range("--steps", settings.steps, 1, kMaxSteps);
  sampler::time_grid(settings.steps, settings.shift);
  sampler::validate(settings.guidance);
  return settings;
}

at::ScalarType dtype_of(const Options& options, const Stored& stored) {
  const std::string name = options.dtype.value_or("auto");
  const bool stored_bf16 = name == "auto" && stored && stored->model.dtype == "bfloat16";
  if (name == "bf16" || stored_bf16) {
    if (kernels::has_bf16_products()) return at::kBFloat16;
    throw std::invalid_argument(
        std::string(stored_bf16 ? "the image of --from was drawn in bf16" : "--dtype bf16") +
        ": this processor has no bf16 products; choose --dtype fp32");
  }
  if (name == "fp32" || name == "auto") return at::kFloat;
  constexpr std::array<std::string_view, 3> known = {"auto", "fp32", "bf16"};
  throw std::invalid_argument("unknown dtype \"" + name + "\": " + sampler::near_misses(name, known));
}

std::vector<pipeline::Image> images_of(const Options& options, const Stored& stored,
                                       const dit::ModelConfig& config) {
  const bool stored_class = stored && options.classes.empty();
  if (stored_class && stored->image.label > config.num_classes) {
    throw io::InputError(options.from.string() + ": its class " + std::to_string(stored->image.label) +
                         " is not one of the model's " + std::to_string(config.num_classes));
  }
  const auto labels = stored_class ? std::vector{stored->image.label} : find_classes(config, options.classes);
  const uint64_t seed = options.seed.value_or(stored ? stored->image.seed : 0);
  require_range("--count", options.count, 1, kMaxImages / static_cast<int64_t>(labels.size()));
  const uint64_t last = seed + static_cast<uint64_t>(options.count - 1);
  if (seed > sampler::kMaxSeed || last > sampler::kMaxSeed) {
    throw std::invalid_argument("--seed: seeds are at most " + std::to_string(sampler::kMaxSeed) +
                                ", asked for " + std::to_string(seed) +
                                (options.count > 1 ? " and those after it" : ""));
  }
  std::vector<pipeline::Image> images;
  for (const int64_t label : labels) {
    for (uint64_t s = seed; s <= last; ++s) images.push_back({label, s});
  }
  return images;
}

// One row per class when there are several images of each, else about twice as wide as high.
int64_t columns_of(const Options& options, size_t images) {
  const auto wide = static_cast<int64_t>(std::ceil(std::sqrt(2.0 * static_cast<double>(images))));
  return options.columns.value_or(options.count > 1 ? options.count : wide);
}

void require_fitting_grid(const Options& options, int64_t images, int64_t image_side, int64_t columns) {
  columns = std::min(columns, images);
  const int64_t longest = std::max(columns, (images + columns - 1) / columns);
  const int64_t side = longest * image_side * options.zoom + (longest - 1) * kGridGap;
  if (side <= kMaxGridSide) return;
  throw std::invalid_argument("--grid: " + std::to_string(images) + " images in " + std::to_string(columns) +
                              " columns make a side of " + std::to_string(side) + " pixels, more than " +
                              std::to_string(kMaxGridSide) + ": set --columns, --zoom or --count");
}

fs::path file_of(const Options& options, const dit::ModelConfig& config, const pipeline::Image& image) {
  char number[32];
  std::snprintf(number, sizeof number, "-%04llu.png", static_cast<unsigned long long>(image.seed));
  return options.out / (class_file_name(config, image.label) + number);
}

void require_writable_outputs(const Options& options, const dit::ModelConfig& config,
                              const pipeline::Request& request) {
  const auto require_not_the_source = [&](const fs::path& file) {
    std::error_code missing;
    if (options.from.empty() || !fs::equivalent(file, options.from, missing)) return;
    throw std::invalid_argument("this would overwrite the image of --from, " + options.from.string() +
                                ": choose another name");
  };
  require_not_the_source(options.grid);
  require_not_the_source(options.map);
  if (!options.grid.empty() && fs::weakly_canonical(options.grid) == fs::weakly_canonical(options.map)) {
    throw std::invalid_argument("--grid and --map name the same file, " + options.grid.string());
  }
  if (!options.grid.empty()) require_writable("--grid", options.grid, ".png");
  if (!options.map.empty()) require_writable("--map", options.map, ".png");
  if (!options.routing.empty()) require_writable("--routing", options.routing, ".npz");
  if (options.no_images) return;
  create_folder(options.out);
  if (!options.from.empty()) {
    for (const auto& image : request.images) require_not_the_source(file_of(options, config, image));
  }
  require_writable("--out", file_of(options, config, request.images.front()), ".png");
}

void warn_of_another_model(Progress& progress, const pipeline::StoredImage& stored,
                           const pipeline::Provenance& model, const std::string& from) {
  if (stored.model.model_hash == model.model_hash) return;
  progress.warn("warning: " + from + " was drawn by model " + stored.model.model_name + " (" +
                stored.model.model_hash + "), this is " + model.model_name + " (" + model.model_hash +
                "): the pixels will differ");
}

// The images as they come: files at once, and kept for the pictures that need all of them.
bool draw(const Options& options, const dit::DiffusionTransformer& model,
          const pipeline::Provenance& provenance, const pipeline::Request& request,
          pipeline::RoutingRecord* record, Progress& progress, std::vector<at::Tensor>& kept) {
  const auto total = static_cast<double>(request.images.size());
  const auto start = std::chrono::steady_clock::now();
  pipeline::Observer observer;
  observer.step_done = [&](const pipeline::StepDone& step) {
    const double done = (static_cast<double>(step.first_image) +
                         static_cast<double>(step.images) * (step.step + 1) / step.steps) /
                        total;
    progress.show(done,
                  "image " + std::to_string(step.first_image + step.images) + "/" +
                      std::to_string(request.images.size()) + ", step " + std::to_string(step.step + 1) +
                      "/" + std::to_string(step.steps),
                  step.seconds * (1 - done) / done);
    return !interrupted();
  };
  observer.image_finished = [&](const pipeline::ImageFinished& finished) {
    const auto& image = request.images[static_cast<size_t>(finished.image)];
    if (!options.no_images) {
      const auto file = file_of(options, model.config(), image);
      io::write_png(file, finished.pixels,
                    pipeline::image_text(provenance, model.config(), request.settings, image));
      progress.result(file.string());
    }
    if (!options.grid.empty() || !options.map.empty()) kept.push_back(finished.pixels);
    return !interrupted();
  };
  if (record != nullptr) observer.routing = record->recorder();
  if (!pipeline::generate(model, request, observer)) return false;

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.2f", total / seconds);
  progress.say(std::to_string(request.images.size()) +
               (request.images.size() == 1 ? " image in " : " images in ") + duration_text(seconds) + " (" +
               rate + " images/s)");
  return true;
}

void sample(const Options& options) {
  if (options.no_images && options.grid.empty() && options.map.empty() && options.routing.empty()) {
    throw std::invalid_argument("--no-images leaves nothing to write: add --grid, --map or --routing");
  }
  require_range("--batch", options.batch, 1, 4096);
  require_range("--zoom", options.zoom, 1, 64);
  if (options.columns) require_range("--columns", *options.columns, 1, kMaxImages);

  Stored stored;
  if (!options.from.empty()) {
    stored = pipeline::read_image_text(io::read_png(options.from).text, options.from.string());
  }
  const ModelArgument argument(options.model);
  const auto dtype = dtype_of(options, stored);
  pipeline::Request request{
      .images = {}, .settings = settings_of(options, stored), .batch_size = options.batch};
  auto loaded = argument.load(dtype);
  auto& model = loaded.model;
  const auto& config = model.config();
  if (config.in_channels != 1 && config.in_channels != 3) {
    throw io::InputError(argument.where() + ": draws latents of " + std::to_string(config.in_channels) +
                         " channels, and there is no decoder for them; expected 1 or 3 channels");
  }
  request.images = images_of(options, stored, config);
  const auto columns = columns_of(options, request.images.size());
  if (!options.grid.empty()) {
    require_fitting_grid(options, static_cast<int64_t>(request.images.size()), config.input_size, columns);
  }
  std::optional<pipeline::RoutingRecord> record;
  if (!options.map.empty() || !options.routing.empty()) record.emplace(config, request);
  require_writable_outputs(options, config, request);

  Progress progress(options.quiet);
  const pipeline::Provenance provenance{argument.name(), argument.hash(),
                                        dtype == at::kFloat ? "float32" : "bfloat16"};
  if (stored) warn_of_another_model(progress, *stored, provenance, options.from.string());
  model.pack();
  std::vector<at::Tensor> kept;
  if (!draw(options, model, provenance, request, record ? &*record : nullptr, progress, kept))
    throw Cancelled();

  if (!options.grid.empty()) {
    io::write_png(options.grid, pipeline::image_grid(kept, columns, kGridGap, options.zoom));
    progress.result(options.grid.string());
  }
  if (!options.map.empty()) {
    io::write_png(options.map, pipeline::routing_picture(*record, kept));
    progress.result(options.map.string());
  }
  if (!options.routing.empty()) {
    pipeline::save_routing(options.routing, *record);
    progress.result(options.routing.string());
  }
}

}  // namespace

void add_sample_command(CLI::App& program, char** argv) {
  auto options = std::make_shared<Options>();
  auto& command =
      *program.add_subcommand("sample", "Draw images, and on request a picture of which experts drew them");
  command
      .add_option("--class", options->classes,
                  "What to draw: a class's name, the beginning of it, or its index;\n"
                  "repeat it or separate with commas; default: all")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->group("What");
  command.add_option("--count", options->count, "Images per class; default: 1")
      ->type_name("N")
      ->group("What");
  command
      .add_option("--seed", options->seed,
                  "Seed of each class's first image, the next one has S+1 ...; default: 0")
      ->type_name("S")
      ->group("What");
  command
      .add_option("--from", options->from,
                  "Draw an image of ours again: class, seed and settings come from\n"
                  "this PNG; options given here go before")
      ->type_name("FILE.png")
      ->group("What");

  add_model_option(command, options->model);
  command.get_option("--model")->group("How");
  command.add_option("--steps", options->steps, "Steps from noise to image, 1 to 10,000; default: 25")
      ->type_name("N")
      ->group("How");
  command
      .add_option("--solver", options->solver,
                  "euler, heun or midpoint (these two: twice the work per step);\ndefault: euler")
      ->type_name("NAME")
      ->group("How");
  command
      .add_option("--guidance", options->guidance,
                  "How strongly to insist on the class; 1: no guidance, in half the time;\ndefault: 2")
      ->type_name("SCALE")
      ->group("How");
  command
      .add_option("--guidance-interval", options->guidance_interval,
                  "Guide only at times t in LOW .. HIGH (1: noise, 0: image); default: 0 1")
      ->type_name("LOW HIGH")
      ->group("How");
  command.add_option("--shift", options->shift, "Above 1: more of the steps near the noise; default: 1")
      ->type_name("S")
      ->group("How");
  command.add_option("--dtype", options->dtype, "fp32, bf16, or auto (fp32); default: auto")
      ->type_name("NAME")
      ->group("How");
  command
      .add_option("--batch", options->batch, "Images at a time: speed and memory, never pixels; default: 16")
      ->type_name("N")
      ->group("How");

  command
      .add_option("--out", options->out,
                  "Folder for the images, made if missing; files are named like\nsphere-0007.png (class, "
                  "seed); default: .")
      ->type_name("DIR")
      ->group("Output");
  command.add_flag("--no-images", options->no_images, "Write only what the next options ask for")
      ->group("Output");
  command.add_option("--grid", options->grid, "All images in one")->type_name("FILE.png")->group("Output");
  command.add_option("--columns", options->columns, "Columns of the grid; default: one row per class")
      ->type_name("N")
      ->group("Output");
  command.add_option("--zoom", options->zoom, "Size of a pixel in the grid; default: 1")
      ->type_name("N")
      ->group("Output");
  command
      .add_option(
          "--map", options->map,
          "Picture of the routing: each expert's share by layer and time,\nand the winner of each patch")
      ->type_name("FILE.png")
      ->group("Output");
  command.add_option("--routing", options->routing, "Every choice of every router as NumPy arrays")
      ->type_name("FILE.npz")
      ->group("Output");
  command.add_flag("--quiet", options->quiet, "No progress on stderr")->group("Output");
  command.footer(
      "Example: three spheres and three cubes, as files in images/ and as one grid\n"
      "  switchyard sample --class sphere,cube --count 3 --out images --grid grid.png");
  command.callback([options, argv] {
    restart_with_short_waits(argv);
    sample(*options);
  });
}

}  // namespace switchyard::app

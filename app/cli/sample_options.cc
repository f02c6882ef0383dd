#include "app/sample_options.h"

#include <array>
#include <stdexcept>
#include <tuple>

#include "app/model_argument.h"
#include "app/usage.h"
#include "io/error.h"
#include "kernels/linear.h"
#include "sampler/near_misses.h"
#include "sampler/noise.h"
#include "sampler/time_grid.h"

namespace switchyard::app {
namespace {

constexpr int kMaxSteps = 10'000;
constexpr int64_t kMaxImages = 10'000'000;

}  // namespace

void add_sample_options(CLI::App& command, SampleOptions& options) {
  command
      .add_option("--class", options.classes,
                  "What to draw: a class's name, the beginning of it, or its index;\n"
                  "repeat it or separate with commas; default: all")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->group("What");
  command.add_option("--count", options.count, "Images per class; default: 1")->type_name("N")->group("What");
  command
      .add_option("--seed", options.seed,
                  "Seed of each class's first image, the next one has S+1 ...; default: 0")
      ->type_name("S")
      ->group("What");
  command
      .add_option("--from", options.from,
                  "Draw an image of ours again: class, seed and settings come from\n"
                  "this PNG; options given here go before")
      ->type_name("FILE.png")
      ->group("What");

  add_model_option(command, options.model);
  command.get_option("--model")->group("How");
  command.add_option("--steps", options.steps, "Steps from noise to image, 1 to 10,000; default: 25")
      ->type_name("N")
      ->group("How");
  command
      .add_option("--solver", options.solver,
                  "euler, heun or midpoint (these two: twice the work per step);\ndefault: euler")
      ->type_name("NAME")
      ->group("How");
  command
      .add_option("--guidance", options.guidance,
                  "How strongly to insist on the class; 1: no guidance, in half the time;\ndefault: 2")
      ->type_name("SCALE")
      ->group("How");
  command
      .add_option("--guidance-interval", options.guidance_interval,
                  "Guide only at times t in LOW .. HIGH (1: noise, 0: image); default: 0 1")
      ->type_name("LOW HIGH")
      ->group("How");
  command.add_option("--shift", options.shift, "Above 1: more of the steps near the noise; default: 1")
      ->type_name("S")
      ->group("How");
  command.add_option("--dtype", options.dtype, "fp32, bf16, or auto (fp32); default: auto")
      ->type_name("NAME")
      ->group("How");
  command
      .add_option("--batch", options.batch, "Images at a time: speed and memory, never pixels; default: 16")
      ->type_name("N")
      ->group("How");

  command
      .add_option("--out", options.out,
                  "Folder for the images, made if missing; files are named like\nsphere-0007.png (class, "
                  "seed); default: .")
      ->type_name("DIR")
      ->group("Output");
  command.add_flag("--no-images", options.no_images, "Write only what the next options ask for")
      ->group("Output");
  command.add_option("--grid", options.grid, "All images in one")->type_name("FILE.png")->group("Output");
  command.add_option("--columns", options.columns, "Columns of the grid; default: one row per class")
      ->type_name("N")
      ->group("Output");
  command.add_option("--zoom", options.zoom, "Size of a pixel in the grid; default: 1")
      ->type_name("N")
      ->group("Output");
  command
      .add_option(
          "--map", options.map,
          "Picture of the routing: each expert's share by layer and time,\nand the winner of each patch")
      ->type_name("FILE.png")
      ->group("Output");
  command.add_option("--routing", options.routing, "Every choice of every router as NumPy arrays")
      ->type_name("FILE.npz")
      ->group("Output");
  command.add_flag("--quiet", options.quiet, "No progress on stderr")->group("Output");
}

pipeline::Settings settings_of(const SampleOptions& options, const Stored& stored) {
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

at::ScalarType dtype_of(const SampleOptions& options, const Stored& stored) {
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

std::vector<pipeline::Image> images_of(const SampleOptions& options, const Stored& stored,
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

}  // namespace switchyard::app

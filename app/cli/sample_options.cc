#include "app/cli/sample_options.h"

#include <array>
#include <stdexcept>
#include <tuple>

#include "app/cli/device.h"
#include "app/cli/usage.h"
#include "io/error.h"
#include "pipeline/classes.h"
#include "kernels/linear/linear.h"
#include "sampler/near_misses.h"
#include "sampler/noise.h"
#include "sampler/quality.h"
#include "sampler/schedule.h"

namespace switchyard::app {
namespace {

constexpr int kMaxSteps = 10'000;
constexpr int64_t kMaxImages = 10'000'000;

}  // namespace

void add_sample_options(CLI::App& command, SampleOptions& options) {
  command
      .add_option("--class", options.classes,
                  "What to draw: a class's name, the beginning of it, or its index;\n"
                  "repeat it or separate with commas; default: all, of models with at most 20")
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

  add_model_options(command, options.model);
  command
      .add_option("--vae", options.vae,
                  "Decoder of a latent model: a diffusers AutoencoderKL, as a folder or its tensor file")
      ->type_name("PATH")
      ->group("Model");
  command
      .add_option(
          "--quality", options.quality,
          "Let solver, steps and guidance be chosen: fast, balanced or best;\noptions given here go before")
      ->type_name("NAME")
      ->group("How");
  command.add_option("--steps", options.steps, "Steps from noise to image, 1 to 10,000; default: 25")
      ->type_name("N")
      ->group("How");
  command
      .add_option(
          "--solver", options.solver,
          "For rectified flow: euler, heun, midpoint, adams_bashforth and others; for DDPM: ddpm, ddim,\n"
          "dpmpp_2m, dpmpp_3m, dpmpp_2m_sde, unipc and others; default: euler, dpmpp_2m")
      ->type_name("NAME")
      ->group("How");
  command
      .add_option(
          "--spacing", options.spacing,
          "Timesteps of DDPM models: even, ddim, leading, trailing, linspace, karras, or counts such as\n"
          "10,20,30 in place of --steps; default: as fits the solver")
      ->type_name("NAME")
      ->group("How");
  command.add_option("--eta", options.eta, "Fresh noise of ddim, 0 to 1; default: 0")
      ->type_name("ETA")
      ->group("How");
  command.add_option("--churn", options.churn, "Fresh noise of edm_heun (S_churn); default: 0")
      ->type_name("S")
      ->group("How");
  command
      .add_option("--edit", options.edit,
                  "Change who works on what: a routing recipe that mutes, forces or scales experts\n"
                  "(info --routing says what there is)")
      ->type_name("FILE.json")
      ->group("How");
  command.add_option("--clip", options.clip, "Keep predicted clean images within -C .. C; default: 0, off")
      ->type_name("C")
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
  command
      .add_option("--guidance-kind", options.guidance_kind,
                  "classifier_free, rescaled, cfg_zero_star or adaptive_projected; default: classifier_free")
      ->type_name("NAME")
      ->group("How");
  command
      .add_option("--guidance-channels", options.guidance_channels,
                  "Guide the first N channels alone (official DiT-MoE samples: 3); 0: all; default: 0")
      ->type_name("N")
      ->group("How");
  command
      .add_option("--guidance-rescale", options.guidance_rescale, "Share of rescaling, 0 to 1; default: 0.7")
      ->type_name("F")
      ->group("How");
  command
      .add_option(
          "--weak-experts", options.weak_experts,
          "Autoguidance: guide away from the same model with N experts per token\ninstead of from no class; "
          "default: 0, off")
      ->type_name("N")
      ->group("How");
  command.add_option("--shift", options.shift, "Above 1: more of the steps near the noise; default: 1")
      ->type_name("S")
      ->group("How");
  command
      .add_option("--dtype", options.dtype,
                  "fp32, bf16, int8 (products of 8 bits, the rest in bf16), or auto (fp32); default: auto")
      ->type_name("NAME")
      ->group("How");
  add_device_option(command, options.device)->group("How");
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

namespace {

sampler::QualityChoice choose(sampler::Quality quality, const dit::ModelConfig& config) {
  return sampler::choose(quality, sampler::Schedule(config.schedule),
                         sampler::prediction_from_name(config.prediction));
}

void apply(const sampler::QualityChoice& choice, pipeline::Settings& settings) {
  settings.solver = choice.solver.solver;
  settings.eta = choice.solver.eta;
  settings.churn = choice.solver.churn;
  settings.steps = choice.grid.steps;
  settings.spacing = choice.grid.spacing;
  settings.guidance = choice.guidance;
}

}  // namespace

pipeline::Settings settings_of(const SampleOptions& options, const Stored& stored,
                               const dit::ModelConfig& config, std::string& choice) {
  pipeline::Settings settings;
  std::optional<sampler::Quality> quality;
  const bool unusual = config.schedule != "rectified_flow";  // the defaults are for rectified flows
  if (options.quality || (unusual && !stored)) {
    quality = options.quality ? sampler::quality_from_name(*options.quality) : sampler::Quality::balanced;
    apply(choose(*quality, config), settings);
  } else if (stored) {
    settings = stored->settings;
  }
  const auto set = [](auto& value, const auto& given) {
    if (given) value = *given;
  };
  if (options.solver) {
    const auto solver = sampler::solver_from_name(*options.solver);
    if (solver != settings.solver) settings.spacing.clear();  // it was the other solver's
    settings.solver = solver;
  }
  set(settings.steps, options.steps);
  set(settings.spacing, options.spacing);
  set(settings.shift, options.shift);
  set(settings.eta, options.eta);
  set(settings.churn.amount, options.churn);
  set(settings.clip, options.clip);
  set(settings.weak_experts, options.weak_experts);
  set(settings.guidance.scale, options.guidance);
  set(settings.guidance.rescale, options.guidance_rescale);
  if (options.guidance_kind)
    settings.guidance.kind = sampler::guidance_kind_from_name(*options.guidance_kind);
  if (options.guidance_channels) settings.guidance.channels = static_cast<int>(*options.guidance_channels);
  if (options.guidance_interval) {
    std::tie(settings.guidance.t_low, settings.guidance.t_high) = *options.guidance_interval;
  }
  require_range("--steps", settings.steps, 1, kMaxSteps);
  require_range("--guidance-channels", settings.guidance.channels, 0, config.in_channels);
  if (options.weak_experts) {
    if (!config.routes_tokens())
      throw std::invalid_argument("--weak-experts: a model of the family " + config.family +
                                  " routes no tokens");
    require_range("--weak-experts", *options.weak_experts, 0, config.experts_per_token);
  }
  pipeline::steps_of(config, settings);  // throws for what the model's schedule has no use for
  sampler::validate(settings.guidance);
  if (quality) {  // as it was chosen, but for what is given here
    choice = sentence_of(*quality, {.solver = {.solver = settings.solver},
                                    .grid = {.steps = settings.steps, .spacing = settings.spacing},
                                    .guidance = settings.guidance,
                                    .sentence = {}});
  }
  return settings;
}

pipeline::Precision precision_of(const SampleOptions& options, const Stored& stored, at::Device device) {
  const std::string name = options.dtype.value_or("auto");
  const bool as_stored = name == "auto" && stored;
  const auto precision = as_stored        ? pipeline::precision_from_name(stored->model.dtype)
                         : name == "auto" ? pipeline::Precision{}
                                          : pipeline::precision_from_name(name);
  const std::string short_name(precision.short_name);
  pipeline::require_precision(precision, device,
                              as_stored ? "the image of --from was drawn in " + short_name : "--dtype " + short_name);
  return precision;
}

pipeline::RoutingRecipe recipe_of(const SampleOptions& options, const Stored& stored,
                                  const dit::ModelConfig& config) {
  if (!options.edit.empty()) return pipeline::read_recipe(options.edit, config);
  if (!stored || stored->recipe.empty()) return {};
  return pipeline::recipe_from_json(stored->recipe, config, options.from.string());
}

std::vector<pipeline::Image> images_of(const SampleOptions& options, const Stored& stored,
                                       const dit::ModelConfig& config) {
  const bool stored_class = stored && options.classes.empty();
  if (stored_class && stored->image.label > config.num_classes) {
    throw io::InputError(options.from.string() + ": its class " + std::to_string(stored->image.label) +
                         " is not one of the model's " + std::to_string(config.num_classes));
  }
  constexpr int64_t kMostClassesUnasked = 20;
  if (!stored_class && options.classes.empty() && config.num_classes > kMostClassesUnasked) {
    throw std::invalid_argument("--class is required: the model has " + std::to_string(config.num_classes) +
                                " classes; \"all\" draws every one");
  }
  const auto labels = stored_class ? std::vector{stored->image.label} : pipeline::find_classes(config, options.classes);
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

#include "app/cli/sample_options.h"

#include <stdexcept>

#include "app/cli/settings_options.h"
#include "app/cli/usage.h"
#include "app/program/device.h"
#include "io/error.h"
#include "pipeline/classes.h"
#include "sampler/noise.h"
#include "sampler/quality.h"

namespace switchyard::app {
namespace {

void add_set_options(CLI::App& command, SetOptions& options) {
  const auto add = option_adder(command);
  constexpr const char* kSet = "A set of --count images in all, which can be stopped and filled on";
  add(kSet, "--set", options.folder, "DIR", "Fill this folder; what is there and whole is not drawn again");
  add(kSet, "--npz", options.npz, "FILE.npz",
      "Pack the finished set as ADM's evaluation takes it: arr_0 [N, H, W, 3], arr_1 labels;\n"
      "without --set the images wait in FILE.npz.images");
  add(kSet, "--balance", options.balance, "NAME",
      "equal (each class as often) or random (by the seed); default: equal");
  add(kSet, "--list", options.list, "FILE",
      "What to draw instead: CSV or JSON lines with the columns class, seed, and as wished recipe,\n"
      "name, guidance, steps, ...");
  add(kSet, "--shard", options.shard, "I/N",
      "Draw every N-th image, as one of N processes (1/N .. N/N); default: as torchrun, SLURM or MPI\n"
      "say, else all");
  command.add_flag("--json", options.json, "A summary on stdout")->group(kSet);
  command
      .add_flag("--routing-stats", options.routing_stats, "How often each expert was chosen in each layer")
      ->group(kSet);
}

pipeline::Precision precision_of(const DrawingOptions& options, const Stored& stored, at::Device device) {
  const std::string name = options.dtype.value_or("auto");
  const bool as_stored = name == "auto" && stored;
  const auto precision = as_stored        ? pipeline::precision_from_name(stored->model.dtype)
                         : name == "auto" ? pipeline::Precision{}
                                          : pipeline::precision_from_name(name);
  const std::string short_name(precision.short_name);
  pipeline::require_precision(
      precision, device,
      as_stored ? "the image of --from was drawn in " + short_name : "--dtype " + short_name);
  return precision;
}

std::optional<kernels::ProductLibrary> library_of(const DrawingOptions& options,
                                                  const pipeline::Precision& precision, at::Device device) {
  if (options.products == "auto") return std::nullopt;
  try {
    const auto library = kernels::product_library_from_name(options.products);
    if (!device.is_cpu()) throw std::invalid_argument("only the CPU leaves a choice");
    if (precision.products == kernels::Products::int8)
      throw std::invalid_argument("numbers of 8 bits are oneDNN's alone");
    return library;
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(std::string("--products: ") + error.what());
  }
}

}  // namespace

bool SetOptions::asked() const {
  if (!folder.empty() || !npz.empty()) return true;
  const std::pair<const char*, bool> others[] = {{"--list", !list.empty()},
                                                 {"--balance", balance != "equal"},
                                                 {"--shard", !shard.empty()},
                                                 {"--json", json},
                                                 {"--routing-stats", routing_stats}};
  for (const auto& [name, given] : others) {
    if (given) throw std::invalid_argument(std::string(name) + " is for a set: say where, by --set or --npz");
  }
  return false;
}

void add_drawing_options(CLI::App& command, DrawingOptions& options) {
  const auto add = option_adder(command);
  add_model_options(command, options.model);
  add("Model", "--vae", options.vae, "PATH",
      "Decoder of a latent model: a diffusers AutoencoderKL, as a folder or its tensor file");
  add("Model", "--dtype", options.dtype, "NAME",
      "fp32, bf16, int8 (products of 8 bits, the rest in bf16), or auto (fp32); default: auto");
  add("Model", "--products", options.products, "NAME",
      "Who multiplies matrices on the CPU: onednn, at_linear (what libtorch would use), or auto,\n"
      "the one that fits the processor; changes the last bits, and speed; default: auto");
  add_device_option(command, options.device)->group("Model");
  add("Model", "--batch", options.batch, "N",
      "Images at a time: speed and memory, never pixels; default: 16");

  constexpr const char* kHow = "How (default: the model's own settings, see switchyard info)";
  add(kHow, "--quality", options.quality, "NAME",
      "Instead of the model's own settings, chosen ones: fast (the model's own for that, where it\n"
      "has any), balanced or best");
  add_settings_options(command, options.settings, kHow);
  add(kHow, "--edit", options.edit, "FILE.json",
      "Change who works on what: a routing recipe that mutes, forces or scales experts\n"
      "(info --routing says what there is)");
}

void add_sample_options(CLI::App& command, SampleOptions& options) {
  const auto add = option_adder(command);
  add("What", "--class", options.classes, "NAME",
      "What to draw: a class's name, the beginning of it, or its index;\n"
      "repeat it or separate with commas; default: all, of models with at most 20")
      ->allow_extra_args(false)
      ->delimiter(',');
  add("What", "--count", options.count, "N", "Images per class, or of a set in all; default: 1");
  add("What", "--seed", options.seed, "S",
      "Seed of each class's first image (of a set's), the next one has S+1 ...; default: 0");
  add("What", "--from", options.from, "FILE.png",
      "Draw an image of ours again: class, seed and settings come from\n"
      "this PNG; options given here go before");

  add_drawing_options(command, options);

  add("Output", "--out", options.out, "DIR",
      "Folder for the images, made if missing; files are named like\nsphere-0007.png (class, seed); "
      "default: .");
  command.add_flag("--no-images", options.no_images, "Write only what the next options ask for")
      ->group("Output");
  add("Output", "--grid", options.grid, "FILE.png", "All images in one");
  add("Output", "--columns", options.columns, "N", "Columns of the grid; default: one row per class");
  add("Output", "--zoom", options.zoom, "N", "Size of a pixel in the grid; default: 1");
  add("Output", "--map", options.map, "FILE.png",
      "Picture of the routing: each expert's share by layer and time,\nand the winner of each patch");
  add("Output", "--routing", options.routing, "FILE.npz", "Every choice of every router as NumPy arrays");
  command.add_flag("--quiet", options.quiet, "No progress on stderr")->group("Output");
  add_set_options(command, options.set);
}

ChosenSettings settings_of(const DrawingOptions& options, const Stored& stored, const dit::ModelFile& file) {
  const auto& config = file.config;
  ChosenSettings chosen;
  std::string origin = file.settings.is_null() ? "balanced" : "settings of the model";
  if (stored) {
    chosen.settings = stored->settings;
    origin = "settings of " + options.from.string();
  } else if (options.quality) {
    const auto quality = sampler::quality_from_name(*options.quality);
    const auto& own = quality == sampler::Quality::fast ? file.fast_settings : nullptr;
    chosen.settings = pipeline::settings_for(config, own, file.source, quality);
    origin = *options.quality;
    if (!own.is_null()) origin += " settings of the model";
  } else {
    chosen.settings = pipeline::settings_for(config, file.settings, file.source);
  }
  auto given = chosen.settings;
  pipeline::apply(options.settings, config, chosen.settings);
  chosen.dropped = pipeline::drop_idle(config, chosen.settings);
  try {
    pipeline::validate(config, chosen.settings);
  } catch (const std::invalid_argument&) {
    if (!stored) throw;
    pipeline::drop_idle(config, given);
    try {
      pipeline::validate(config, given);
    } catch (const std::invalid_argument& error) {  // whatever the command line says
      throw io::InputError(options.from.string() + ": its settings: " + error.what());
    }
    throw;
  }
  chosen.sentence = origin + ": " + pipeline::sentence_of(config, chosen.settings);
  return chosen;
}

pipeline::SessionOptions session_options(const DrawingOptions& options, const Stored& stored) {
  const auto device = device_of(options.device);
  const auto precision = precision_of(options, stored, device);
  return {.model = source_of(options.model),
          .decoder = options.vae,
          .precision = precision,
          .library = library_of(options, precision, device),
          .device = device};
}

pipeline::RoutingRecipe recipe_of(const DrawingOptions& options, const Stored& stored,
                                  const dit::ModelConfig& config) {
  if (!options.edit.empty()) return pipeline::read_recipe(options.edit, config);
  if (!stored || stored->recipe.empty()) return {};
  return pipeline::recipe_from_json(stored->recipe, config, options.from.string());
}

uint64_t first_seed_of(const SampleOptions& options, const Stored& stored) {
  if (options.seed) require_range("--seed", *options.seed, 0, static_cast<int64_t>(sampler::kMaxSeed));
  return options.seed ? static_cast<uint64_t>(*options.seed) : stored ? stored->image.seed : 0;
}

std::vector<pipeline::Image> images_of(const SampleOptions& options, const Stored& stored,
                                       const dit::ModelConfig& config) {
  const bool stored_class = stored && options.classes.empty();
  if (stored_class && stored->image.label >= config.labels()) {
    throw io::InputError(options.from.string() + ": its class " + std::to_string(stored->image.label) +
                         " is not one of the model's " + std::to_string(config.num_classes));
  }
  constexpr int64_t kMostClassesUnasked = 20;
  if (!stored_class && options.classes.empty() && config.num_classes > kMostClassesUnasked) {
    throw std::invalid_argument("--class is required: the model has " + std::to_string(config.num_classes) +
                                " classes; \"all\" draws every one");
  }
  const auto labels =
      stored_class ? std::vector{stored->image.label} : pipeline::find_classes(config, options.classes);
  require_range("--count", options.count, 1, kMaxImages / static_cast<int64_t>(labels.size()));
  const uint64_t seed = first_seed_of(options, stored);
  const uint64_t last = seed + static_cast<uint64_t>(options.count - 1);
  if (last > sampler::kMaxSeed) {
    throw std::invalid_argument("--seed: seeds are at most " + std::to_string(sampler::kMaxSeed) +
                                ", asked for " + std::to_string(seed) + " and those after it");
  }
  std::vector<pipeline::Image> images;
  for (const int64_t label : labels) {
    for (uint64_t s = seed; s <= last; ++s) images.push_back({label, s});
  }
  return images;
}

}  // namespace switchyard::app

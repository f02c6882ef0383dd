// switchyard sample: draws images.
#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>

#include "app/cli/commands.h"
#include "app/cli/device.h"
#include "app/cli/idle_options.h"
#include "app/cli/interrupt.h"
#include "app/cli/model_argument.h"
#include "app/cli/progress.h"
#include "app/cli/sample_options.h"
#include "app/cli/threads.h"
#include "app/cli/usage.h"
#include "pipeline/objective_probe.h"
#include "io/error.h"
#include "io/png.h"
#include "kernels/linear/linear.h"
#include "pipeline/generate.h"
#include "figures/image_grid.h"
#include "pipeline/metadata.h"
#include "figures/routing_picture.h"
#include "pipeline/routing_record.h"
#include "vae/checkpoint.h"

namespace switchyard::app {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxGridSide = 32'768;  // of a PNG file
constexpr int64_t kGridGap = 2;

// One row per class when there are several images of each, else about twice as wide as high.
int64_t columns_of(const SampleOptions& options, size_t images) {
  const auto wide = static_cast<int64_t>(std::ceil(std::sqrt(2.0 * static_cast<double>(images))));
  return options.columns.value_or(options.count > 1 ? options.count : wide);
}

void require_fitting_grid(const SampleOptions& options, int64_t images, int64_t image_side, int64_t columns) {
  columns = std::min(columns, images);
  const int64_t longest = std::max(columns, (images + columns - 1) / columns);
  const int64_t side = longest * image_side * options.zoom + (longest - 1) * kGridGap;
  if (side <= kMaxGridSide) return;
  throw std::invalid_argument("--grid: " + std::to_string(images) + " images in " + std::to_string(columns) +
                              " columns make a side of " + std::to_string(side) + " pixels, more than " +
                              std::to_string(kMaxGridSide) + ": set --columns, --zoom or --count");
}

fs::path file_of(const SampleOptions& options, const dit::ModelConfig& config, const pipeline::Image& image) {
  char number[32];
  std::snprintf(number, sizeof number, "-%04llu.png", static_cast<unsigned long long>(image.seed));
  return options.out / (class_file_name(config, image.label) + number);
}

// Files that need not be there yet: "grid.png" is "./grid.png".
bool same_place(const fs::path& a, const fs::path& b) {
  return !a.empty() && !b.empty() &&
         fs::weakly_canonical(fs::absolute(a)) == fs::weakly_canonical(fs::absolute(b));
}

void require_writable_outputs(const SampleOptions& options, const dit::ModelConfig& config,
                              const pipeline::Request& request) {
  const auto require_not_the_source = [&](const fs::path& file) {
    std::error_code missing;
    if (options.from.empty() || !fs::equivalent(file, options.from, missing)) return;
    throw std::invalid_argument("this would overwrite the image of --from, " + options.from.string() +
                                ": choose another name");
  };
  require_not_the_source(options.grid);
  require_not_the_source(options.map);
  if (same_place(options.grid, options.map)) {
    throw std::invalid_argument("--grid and --map name the same file, " + options.grid.string());
  }
  if (!options.no_images) {
    const bool pictures = !options.grid.empty() || !options.map.empty();
    for (size_t i = 0; pictures && i < request.images.size(); ++i) {
      const auto file = file_of(options, config, request.images[i]);
      if (same_place(file, options.grid) || same_place(file, options.map))
        throw std::invalid_argument("--grid or --map would overwrite an image of this run, " + file.string());
    }
    create_folder(options.out);  // first: the others may lie in it
  }
  if (!options.grid.empty()) require_writable("--grid", options.grid, ".png");
  if (!options.map.empty()) require_writable("--map", options.map, ".png");
  if (!options.routing.empty()) require_writable("--routing", options.routing, ".npz");
  if (options.no_images) return;
  if (!options.from.empty()) {
    for (const auto& image : request.images) require_not_the_source(file_of(options, config, image));
  }
  require_writable("--out", file_of(options, config, request.images.front()), ".png");
}

void warn_of_a_difference(Progress& progress, const std::string& from, const std::string& what,
                          const std::string& then, const std::string& now) {
  progress.warn("warning: " + from + " was drawn by " + what + " " + then + ", this is " + now +
                ": the pixels will differ");
}

// What differs from how the image of --from was drawn, but for the decoder. Images of version 1 do not say
// all of it.
void warn_of_another_model(Progress& progress, const pipeline::Provenance& stored,
                           const pipeline::Provenance& model, const std::string& from) {
  const auto compare = [&](const std::string& what, const auto& then, const auto& now) {
    if (then != now) warn_of_a_difference(progress, from, what, c10::str(then), c10::str(now));
  };
  if (stored.model_hash != model.model_hash) {
    warn_of_a_difference(progress, from, "model", stored.model_name + " (" + stored.model_hash + ")",
                         model.model_name + " (" + model.model_hash + ")");
  }
  if (stored.objective.empty()) return;
  compare("weights", stored.weights, model.weights);
  compare("objective", stored.objective, model.objective);
  compare("experts per token", stored.experts_per_token, model.experts_per_token);
  compare("attention heads", stored.num_heads, model.num_heads);
}

// The decoder that --vae names, for a model that draws latents.
std::optional<vae::LoadedAutoencoder> decoder_of(const SampleOptions& options, const dit::ModelConfig& config,
                                                 const ModelArgument& model, at::ScalarType dtype) {
  const bool draws_pixels = config.in_channels == 1 || config.in_channels == 3;
  if (options.vae.empty()) {
    if (draws_pixels) return std::nullopt;
    throw std::invalid_argument(model.where() + " draws latents of " + std::to_string(config.in_channels) +
                                " channels: name the decoder that makes images of them with --vae");
  }
  auto loaded = vae::load_autoencoder(options.vae, dtype);
  if (const int64_t latent = loaded.autoencoder.config().latent_channels; latent != config.in_channels) {
    throw io::InputError(options.vae.string() + ": decodes latents of " + std::to_string(latent) +
                         " channels, the model draws " + std::to_string(config.in_channels));
  }
  if (const int64_t colours = loaded.autoencoder.config().out_channels; colours != 1 && colours != 3) {
    throw io::InputError(options.vae.string() + ": decodes to " + std::to_string(colours) +
                         " channels, expected 1 (grey) or 3 (RGB)");
  }
  return loaded;
}

// What --map and --routing need: a record of each kind of router that the model has, the tokens' first.
std::vector<pipeline::RoutingRecord> records_of(const SampleOptions& options, const dit::ModelConfig& config,
                                                const pipeline::Request& request) {
  std::vector<pipeline::RoutingRecord> records;
  if (options.map.empty() && options.routing.empty()) return records;
  records.emplace_back(config, request);
  if (config.routes_tokens() && config.routes_timesteps() && !options.routing.empty())
    records.emplace_back(config, request, pipeline::Router::timesteps);
  return records;
}

// The images as they come: files at once, and kept for the pictures that need all of them.
bool draw(const SampleOptions& options, const pipeline::Model& model, const pipeline::Provenance& provenance,
          const pipeline::Request& request, std::vector<pipeline::RoutingRecord>& records, Progress& progress,
          std::vector<at::Tensor>& kept) {
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
  observer.decoding = [&](const pipeline::Decoding& decoding) {
    progress.show((static_cast<double>(decoding.image) + decoding.done) / total,
                  "image " + std::to_string(decoding.image + 1) + "/" +
                      std::to_string(request.images.size()) + ", decoding",
                  0);
    return !interrupted();
  };
  observer.image_finished = [&](const pipeline::ImageFinished& finished) {
    const auto& image = request.images[static_cast<size_t>(finished.image)];
    if (!options.no_images) {
      const auto file = file_of(options, model.transformer.config(), image);
      io::write_png(file, finished.pixels,
                    pipeline::image_text(provenance, model.transformer.config(), request.settings, image));
      progress.result(file.string());
    }
    if (!options.grid.empty() || !options.map.empty()) kept.push_back(finished.pixels);
    return !interrupted();
  };
  if (!records.empty()) {
    observer.routing = [&](const pipeline::LayerRouting& routing) {
      for (auto& record : records) record.add(routing);
      return !interrupted();
    };
  }
  if (!pipeline::generate(model, request, observer)) return false;

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  char rate[32];
  std::snprintf(rate, sizeof rate, "%.2f", total / seconds);
  progress.say(std::to_string(request.images.size()) +
               (request.images.size() == 1 ? " image in " : " images in ") + duration_text(seconds) + " (" +
               rate + " images/s)");
  return true;
}

void sample(const SampleOptions& options) {
  if (options.no_images && options.grid.empty() && options.map.empty() && options.routing.empty()) {
    throw std::invalid_argument("--no-images leaves nothing to write: add --grid, --map or --routing");
  }
  require_range("--batch", options.batch, 1, 4096);
  require_range("--zoom", options.zoom, 1, 64);
  if (options.columns) require_range("--columns", *options.columns, 1, kMaxGridSide);

  Stored stored;
  if (!options.from.empty()) {
    stored = pipeline::read_image_text(io::read_png(options.from).text, options.from.string());
  }
  const auto device = device_of(options.device);
  const ModelArgument argument(options.model);
  const auto file = argument.open_for_use();
  const auto& config = file.config;
  const auto precision = precision_of(options, stored, device);
  Progress progress(options.quiet);
  pipeline::Provenance provenance;
  provenance.model_name = argument.name();
  provenance.dtype = precision.name;
  provenance.weights = file.weights;
  provenance.objective = config.schedule + ":" + config.prediction;
  provenance.experts_per_token = config.experts_per_token;
  provenance.num_heads = config.num_heads;
  if (stored) {  // before the settings: they may not suit another model
    provenance.model_hash = argument.hash();
    warn_of_another_model(progress, stored->model, provenance, options.from.string());
  }
  std::string choice;
  pipeline::Request request{
      .images = {}, .settings = settings_of(options, stored, config, choice), .batch_size = options.batch};
  request.images = images_of(options, stored, config);
  const auto decoder =
      decoder_of(options, config, argument, kernels::has_bf16_products() ? precision.dtype : at::kFloat);
  const auto columns = columns_of(options, request.images.size());
  const int64_t side = config.input_size * (decoder ? decoder->autoencoder.config().downsampling() : 1);
  if (!options.grid.empty()) {
    require_fitting_grid(options, static_cast<int64_t>(request.images.size()), side, columns);
  }
  auto records = records_of(options, config, request);
  require_writable_outputs(options, config, request);

  if (!choice.empty()) progress.say(choice);
  for (const auto& sentence : idle_options(options, request.settings)) progress.warn("warning: " + sentence);
  auto model = dit::make_model(file, precision.dtype, device);
  if (provenance.model_hash.empty()) provenance.model_hash = argument.hash();  // reads all of the file
  provenance.image_size = side;
  if (decoder) {
    provenance.decoder_name = fs::path(options.vae).lexically_normal().filename().string();
    provenance.decoder_hash = pipeline::model_hash(decoder->weights);
    if (stored && stored->model.decoder_hash != provenance.decoder_hash) {
      warn_of_a_difference(progress, options.from.string(), "decoder", stored->model.decoder_name,
                           provenance.decoder_name);
    }
  }
  const bool with_weaker = request.settings.weak_experts > 0;  // it shares the plain weights
  model.pack(precision.products, with_weaker ? dit::Weights::keep : dit::Weights::drop);
  if (file.format == "Switchyard" &&
      (file.origin.contains("schedule") || file.origin.contains("prediction"))) {
    progress.warn("warning: the file states another objective than --objective " + options.model.objective);
  }
  const bool stated = file.origin.empty();  // by a file of ours, which knows
  if (const auto doubt = stated ? std::nullopt : pipeline::probe_objective(model))
    progress.warn("warning: " + *doubt);
  std::optional<dit::DiffusionTransformer> weaker;
  if (with_weaker) {
    weaker.emplace(pipeline::weaker_model(model, request.settings.weak_experts));
    request.weaker = &*weaker;
  }
  std::vector<at::Tensor> kept;
  if (!draw(options, {model, decoder ? &decoder->autoencoder : nullptr}, provenance, request, records,
            progress, kept))
    throw Cancelled();

  if (!options.grid.empty()) {
    io::write_png(options.grid, figures::image_grid(kept, columns, kGridGap, options.zoom));
    progress.result(options.grid.string());
  }
  if (!options.map.empty()) {
    io::write_png(options.map, figures::routing_picture(records.front(), kept));
    progress.result(options.map.string());
  }
  if (!options.routing.empty()) {
    pipeline::save_routing(options.routing, records.front(), records.size() > 1 ? &records.back() : nullptr);
    progress.result(options.routing.string());
  }
}

}  // namespace

void add_sample_command(CLI::App& program, char** argv) {
  auto options = std::make_shared<SampleOptions>();
  auto& command =
      *program.add_subcommand("sample", "Draw images, and on request a picture of which experts drew them");
  add_sample_options(command, *options);
  command.footer(
      "Example: three spheres and three cubes, as files in images/ and as one grid\n"
      "  switchyard sample --class sphere,cube --count 3 --out images --grid grid.png");
  command.callback([options, argv] {
    restart_with_short_waits(argv);
    sample(*options);
  });
}

}  // namespace switchyard::app

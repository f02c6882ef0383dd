#include "pipeline/session.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "dit/replayed_forward.h"
#include "io/error.h"
#include "io/free_memory.h"
#include "pipeline/batch.h"
#include "pipeline/drawing_memory.h"
#include "pipeline/latent_preview.h"
#include "pipeline/objective_probe.h"
#include "pipeline/out_of_memory.h"
#include "vae/checkpoint.h"

namespace switchyard::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

// The times at which a CPU's model will be asked, the same in every batch. A GPU's recording has what depends
// on them inside.
std::vector<double> times_of(const dit::DiffusionTransformer& model, const Settings& settings) {
  std::vector<double> times;
  if (!model.device().is_cpu()) return times;
  for (double t : sampler::evaluation_times(settings.solver, problem_of(model.config(), settings))) {
    t = told(model.config(), t);
    if (std::ranges::find(times, t) == times.end()) times.push_back(t);
  }
  return times;
}

std::vector<double> noise_fractions_of(const dit::ModelConfig& config, const Settings& settings) {
  const sampler::Schedule schedule(config.schedule);
  std::vector<double> fractions;
  for (const double t : sampler::evaluation_times(settings.solver, problem_of(config, settings)))
    fractions.push_back(schedule.noise_fraction(t));
  return fractions;
}

// How much of a request is done, by the number of operations: what takes no part in them takes little time.
class Work {
 public:
  Work(const dit::ModelConfig& config, const std::optional<vae::VaeConfig>& decoder, const Settings& settings,
       int64_t images)
      : images_(static_cast<double>(images)) {
    if (!decoder) return;
    const double halves = settings.guidance.scale == 1 ? 1 : 2;
    const double forward = 2.0 * static_cast<double>(dit::count_parameters(config).activated * config.tokens());
    const double evaluations =
        static_cast<double>(sampler::evaluation_times(settings.solver, problem_of(config, settings)).size());
    const double steps = evaluations * halves * forward;
    decoding_ = vae::plan_decode(*decoder, 1, config.input_size, config.input_size, at::kFloat, 0).flop;
    decoding_ /= decoding_ + steps;
  }

  /// When so many images are through all steps, and so many are decoded.
  double done(double stepped, double decoded) const {
    return (stepped * (1 - decoding_) + decoded * decoding_) / images_;
  }

 private:
  double images_, decoding_ = 0;  // the decoder's share
};

void check_settings(const dit::ModelConfig& config, const Settings& settings) {
  validate(config, settings);
  const sampler::Schedule schedule(config.schedule);
  sampler::require_fit(sampler::prediction_from_name(config.prediction), schedule);
  if (settings.weak_experts != 0 && !config.routes_tokens())
    throw std::invalid_argument("weak_experts: a model of the family " + config.family + " routes no tokens");
  if (config.integer_timesteps() && config.num_timesteps != schedule.timesteps()) {
    throw std::invalid_argument(c10::str("the model knows ", config.num_timesteps, " timesteps, the schedule ",
                                         schedule.name(), " has ", schedule.timesteps()));
  }
}

std::optional<at::Tensor> drawn_or_out_of_memory(const Drawing& drawing, int64_t first) try {
  return draw_batch(drawing, first);
} catch (const std::exception& error) {
  if (!is_out_of_memory(error)) throw;
  const auto batch = drawing.request.batch_size;
  throw io::OutOfMemory(batch == 1
                            ? "in the middle of an image"
                            : c10::str("in the middle of ", batch, " images; fewer at a time take less"));
}

// Empty where there is no choice.
std::string library_of(const SessionOptions& options) {
  if (!options.device.is_cpu() || options.precision.products == kernels::Products::int8) return "";
  return std::string(to_string(options.library.value_or(kernels::product_library(options.precision.dtype))));
}

void require_decoder_of(const dit::ModelConfig& config, const vae::VaeConfig& decoder, const std::string& name) {
  if (decoder.latent_channels != config.in_channels) {
    throw io::InputError(c10::str(name, ": decodes latents of ", decoder.latent_channels,
                                  " channels, the model draws ", config.in_channels));
  }
  if (decoder.out_channels != 1 && decoder.out_channels != 3) {
    throw io::InputError(c10::str(name, ": decodes to ", decoder.out_channels,
                                  " channels, expected 1 (grey) or 3 (RGB)"));
  }
}

}  // namespace

bool draws_latents(const dit::ModelConfig& config) {
  return config.in_channels != 1 && config.in_channels != 3;
}

Session::Session(SessionOptions options)
    : options_(std::move(options)), file_(options_.model.open_for_use()), config_(file_.config) {
  provenance_ = {.model_name = options_.model.name(),
                 .model_hash = {},
                 .dtype = std::string(options_.precision.name),
                 .library = library_of(options_),
                 .weights = file_.weights,
                 .objective = config_.objective(),
                 .experts_per_token = config_.experts_per_token,
                 .num_heads = config_.num_heads};
  std::filesystem::path decoder_weights;
  if (options_.decoder.empty()) options_.decoder = file_.decoder;
  if (!options_.decoder.empty()) {
    auto opened = vae::open_autoencoder(options_.decoder);
    require_decoder_of(config_, opened.config, options_.decoder.string());
    decoder_config_ = opened.config;
    decoder_weights = opened.weights;
    const bool bf16 = options_.precision.dtype == at::kBFloat16 &&
                      (!options_.device.is_cpu() || kernels::has_bf16_products());
    const vae::AutoencoderOptions how{
        .dtype = bf16 ? at::kBFloat16 : at::kFloat, .device = options_.device, .with_encoder = false};
    loading_decoder_ = std::async(std::launch::async, [file = std::move(opened), how] {
      const at::NoGradGuard no_grad;
      return vae::load_autoencoder(file, how);
    });
    provenance_.decoder_name = options_.decoder.lexically_normal().filename().string();
  } else if (draws_latents(config_)) {
    throw std::invalid_argument(options_.model.where() + " draws latents of " +
                                std::to_string(config_.in_channels) +
                                " channels: name the decoder that makes images of them with --vae");
  }
  provenance_.image_size = image_size();
  hashes_ = std::async(std::launch::async, [model = options_.model, decoder_weights, closing = closing_.get_token()] {
    return std::pair(model.hash(closing), decoder_weights.empty() ? "" : model_hash(decoder_weights, closing));
  });
}

Session::Session(dit::DiffusionTransformer model, std::optional<vae::Autoencoder> decoder, Provenance provenance)
    : config_(model.config()),
      model_(std::make_unique<dit::DiffusionTransformer>(std::move(model))),
      replayed_(std::make_unique<dit::ReplayedForward>(*model_)),
      provenance_(std::move(provenance)) {
  if (!model_->packed()) model_->pack();
  if (decoder) {
    require_decoder_of(config_, decoder->config(), "the decoder");
    decoder_config_ = decoder->config();
    decoder_ = std::move(decoder);
  }
}

Session::~Session() { closing_.request_stop(); }

int64_t Session::image_size() const {
  return config_.input_size * (decoder_config_ ? decoder_config_->downsampling() : 1);
}

int64_t Session::image_channels() const {
  return decoder_config_ ? decoder_config_->out_channels : config_.in_channels;
}

void Session::load() {
  if (model_) return;
  const at::NoGradGuard no_grad;
  if (options_.device.is_cpu()) {
    const bool int8 = options_.precision.products == kernels::Products::int8;
    const auto size = int8 ? 1 : static_cast<int64_t>(c10::elementSize(options_.precision.dtype));
    io::require_memory(dit::count_parameters(config_).total * size,
                       "the weights of " + options_.model.where());
  }
  model_ = std::make_unique<dit::DiffusionTransformer>(
      dit::make_model(file_, options_.precision.dtype, options_.device));
  file_.tensors.clear();  // unmaps the file
  model_->pack({options_.precision.products, options_.library});
  replayed_ = std::make_unique<dit::ReplayedForward>(*model_);
}

Settings Session::settings() const { return settings_for(config_, file_.settings, options_.model.where()); }

Settings Session::fast_settings() const {
  return settings_for(config_, file_.fast_settings, options_.model.where(), sampler::Quality::fast);
}

std::optional<std::string> Session::doubt() {
  if (file_.origin.empty()) return std::nullopt;  // stated by a file of ours, which knows
  load();
  return probe_objective(*model_);
}

TimestepGate Session::timestep_gate() {
  load();
  return pipeline::timestep_gate(*model_);
}

StepRouting Session::routing_of(const at::Tensor& z, double t, const std::vector<int64_t>& labels,
                                const dit::Stop& stop) {
  const at::NoGradGuard no_grad;
  load();
  const auto images = z.size(0);
  const BatchModel model(*model_, *replayed_, {}, labels, /*with_null_class=*/false);
  const auto tape = dit::RoutingTape::allocate(config_, images, /*with_probabilities=*/false, model_->device());
  model(z.to(model_->device()), t, {}, tape, stop);
  const auto here = [](const at::Tensor& all) { return all.defined() ? all.to(at::kCPU, at::kFloat) : all; };
  return {.images = images,
          .t = t,
          .tokens = {here(tape.tokens.gate_weights), {}},
          .timesteps = {here(tape.timesteps.gate_weights), {}}};
}

const Provenance& Session::provenance() {
  if (hashes_.valid()) std::tie(provenance_.model_hash, provenance_.decoder_hash) = hashes_.get();
  return provenance_;
}

io::TextEntries Session::text_of(const Request& request, size_t image) {
  return image_text(provenance(), config_, request.settings, request.images.at(image),
                    recipe_of_image(request.recipe, static_cast<int64_t>(image)));
}

void Session::check(const Request& request) const {
  if (request.batch_size < 1) {
    throw std::invalid_argument("batch size must be at least 1, got " + std::to_string(request.batch_size));
  }
  check_settings(config_, request.settings);
  for (const auto& image : request.images) {
    if (image.label < 0 || image.label >= config_.labels()) {
      throw std::invalid_argument("class " + std::to_string(image.label) + " is not in 0 .. " +
                                  std::to_string(config_.num_classes - 1));
    }
  }
  const auto images = static_cast<int64_t>(request.images.size());
  for (const auto& edit : request.recipe) {
    if (!edit.images.empty() && edit.images.back() >= images) {
      throw std::invalid_argument(c10::str("recipe: an edit is for image ", edit.images.back(), " of a request of ",
                                           images, " (counted from 0)"));
    }
  }
  CompiledRecipe(request.recipe, config_, at::kCPU)
      .require_possible(noise_fractions_of(config_, request.settings), images);
}

// Of the loaded model. The estimates say the least: a quarter of what a block may take, half of what a decoder may.
Request Session::with_fitting_batch(const Request& request, bool watched) const {
  Request fitting = request;
  auto& batch = fitting.batch_size;
  batch = std::min(batch, std::max<int64_t>(static_cast<int64_t>(request.images.size()), 1));
  if (!model_->device().is_cpu()) return fitting;
  const auto size = std::to_string(image_size());
  const auto bytes = [&](int64_t images) {
    return bytes_of_drawing(config_, request.settings, images, model_->dtype(), watched);
  };
  const auto free = io::require_memory(bytes(1), "drawing an image of " + size + "x" + size);
  if (decoder_config_) {
    const auto plan = vae::plan_decode(*decoder_config_, 1, config_.input_size, config_.input_size,
                                       model_->dtype(), request.decode_memory);
    io::require_memory(plan.bytes / 2, "decoding an image of " + size + "x" + size);
  }
  while (batch > 1 && 4 * bytes(batch) > free) batch = (batch + 1) / 2;
  return fitting;
}

bool Session::draw(const Request& request, const Observer& observer) {
  const at::NoGradGuard no_grad;
  check(request);
  load();
  const auto start = Clock::now();
  const auto images = static_cast<int64_t>(request.images.size());
  const Work work(config_, decoder_config_, request.settings, images);
  CompiledRecipe recipe(request.recipe, config_, model_->device());
  const Request fitting = with_fitting_batch(request, static_cast<bool>(observer.routing));
  const Drawing drawing{
      .model = *model_,
      .replayed = *replayed_,
      .recipe = recipe,
      .request = fitting,
      .observer = observer,
      .times = times_of(*model_, request.settings),
      .preview =
          [&](const at::Tensor& x_hat) {
            if (!decoder_config_)
              return x_hat.to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true);
            if (!preview_) preview_ = std::make_unique<LatentPreview>(decoder());
            return (*preview_)(x_hat);
          },
      .seconds = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); },
      .done = [&](double stepped, double decoded) { return work.done(stepped, decoded); }};
  for (int64_t first = 0; first < images; first += fitting.batch_size) {
    const auto result = drawn_or_out_of_memory(drawing, first);
    if (!result) return false;
    const auto on_cpu = result->cpu();
    for (int64_t i = 0; observer.image_finished && i < on_cpu.size(0); ++i) {
      auto image = std::optional(on_cpu.narrow(0, i, 1));
      if (decoder_config_) {
        image = decoded(*image, first + i, request, observer, [&](double part) {
          return work.done(static_cast<double>(first + on_cpu.size(0)), static_cast<double>(first + i) + part);
        });
      }
      if (!image) return false;
      const auto latent = on_cpu[i].to(at::kFloat, /*non_blocking=*/false, /*copy=*/true);
      if (!observer.image_finished({first + i, to_pixels((*image)[0], request.settings.quantization), drawing.seconds(),
                                    latent})) return false;
    }
  }
  return true;
}

const vae::Autoencoder& Session::decoder() {
  if (!decoder_) decoder_ = loading_decoder_.get();
  return *decoder_;
}

// Nothing: cancelled.
std::optional<at::Tensor> Session::decoded(const at::Tensor& latent, int64_t image, const Request& request,
                                           const Observer& observer,
                                           const std::function<double(double)>& done_at) {
  vae::DecodeOptions options{.memory_limit = request.decode_memory};
  if (observer.decoding || observer.stop) {
    options.progress = [&](double part) {
      return !(observer.stop && observer.stop()) &&
             (!observer.decoding || observer.decoding({image, part, done_at(part)}));
    };
  }
  const auto picture = decoder().decode(latent, options);
  if (!picture || at::isfinite(*picture).all().item<bool>()) return picture;
  std::string first;
  options.progress = {};
  options.observer = [&](const std::string& module, const at::Tensor& output) {
    if (first.empty() && !at::isfinite(output).all().item<bool>()) first = module;
  };
  decoder().decode(latent, options);
  throw io::InputError(c10::str("image ", image, ": the decoder's numbers are not finite, beginning in ",
                                first.empty() ? "its last layer" : first, ": its weights hold NaN, or are too large for ",
                                toString(decoder().dtype())));
}

at::Tensor to_pixels(const at::Tensor& image, Quantization quantization) {
  const auto levels = quantization == Quantization::round ? ((image + 1.0) * 127.5).round() : image * 127.5 + 128.0;
  return levels.clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
}

}  // namespace switchyard::pipeline

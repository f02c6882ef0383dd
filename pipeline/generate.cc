#include "pipeline/generate.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include "dit/replayed_forward.h"
#include "pipeline/batch_model.h"
#include "sampler/flow.h"
#include "sampler/noise.h"
#include "sampler/problem.h"

namespace switchyard::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

sampler::SolverSettings solver_settings(const Settings& settings) {
  return {.solver = settings.solver, .eta = settings.eta, .churn = settings.churn};
}

// The solver's problem, but for the model and the noise.
sampler::Problem problem_of(const dit::ModelConfig& config, const Settings& settings) {
  sampler::Problem problem;
  problem.schedule = sampler::Schedule(config.schedule);
  // A rectified flow is guided and solved in its velocity, whatever the model predicts.
  problem.prediction = problem.schedule.is_flow() ? sampler::Prediction::velocity
                                                  : sampler::prediction_from_name(config.prediction);
  problem.steps = steps_of(config, settings);
  problem.limit.clip = settings.clip;
  return problem;
}

// The times at which a CPU's model will be asked, the same in every batch. A GPU's recording has what depends
// on them inside.
std::vector<double> times_of(const dit::DiffusionTransformer& model, const Settings& settings) {
  if (!model.device().is_cpu()) return {};
  auto times = sampler::evaluation_times(solver_settings(settings), problem_of(model.config(), settings));
  for (auto& t : times) t = told(model.config(), t);
  return times;
}

// Everything about the settings that can be said before anything is drawn.
void check(const Model& with, const Request& request) {
  const auto& model = with.transformer;
  const auto& settings = request.settings;
  if (with.decoder != nullptr && with.decoder->config().latent_channels != model.config().in_channels) {
    throw std::invalid_argument(c10::str("the decoder takes latents of ",
                                         with.decoder->config().latent_channels,
                                         " channels, the model draws ", model.config().in_channels));
  }
  sampler::validate(settings.guidance);
  sampler::validate(settings.churn);
  steps_of(model.config(), settings);
  const sampler::Schedule schedule(model.config().schedule);
  sampler::require_fit(sampler::prediction_from_name(model.config().prediction), schedule);
  const auto require = [](bool good, const char* name, double value, const char* expected) {
    if (!good) throw std::invalid_argument(c10::str(name, " is ", value, ", expected ", expected));
  };
  require(0 <= settings.eta && settings.eta <= 1, "eta", settings.eta, "0..1");
  require(0 <= settings.clip && settings.clip <= 1e6, "clip", settings.clip, "0 (off) .. 1e6");
  if (model.config().integer_timesteps() && model.config().num_timesteps != schedule.timesteps()) {
    throw std::invalid_argument(c10::str("the model knows ", model.config().num_timesteps,
                                         " timesteps, the schedule ", schedule.name(), " has ",
                                         schedule.timesteps()));
  }
  if (settings.weak_experts > 0 && request.weaker == nullptr) {
    throw std::invalid_argument("autoguidance needs the weaker model");
  }
}

// The models of a request as a GPU runs them while nobody watches their routing.
struct Replayed {
  dit::ReplayedForward good, weaker;
  explicit Replayed(const Model& model, const Request& request)
      : good(model.transformer), weaker(request.weaker ? *request.weaker : model.transformer) {}
};

// One batch on its way through the solver.
class Batch {
 public:
  Batch(const Model& model, Replayed& replayed, const Request& request, const Observer& observer,
        int64_t first, const std::vector<double>& times, Clock::time_point start)
      : model_(model.transformer),
        decoder_(model.decoder),
        request_(request),
        observer_(observer),
        first_(first),
        start_(start) {
    count_ = std::min(request.batch_size, static_cast<int64_t>(request.images.size()) - first);
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < count_; ++i) {
      labels.push_back(request.images[first + i].label);
      seeds_.push_back(request.images[first + i].seed);
    }
    const auto& settings = request.settings;
    const bool with_null_class = settings.guidance.scale != 1 && settings.weak_experts == 0;
    good_.emplace(model_, replayed.good, times, labels, with_null_class);
    if (settings.weak_experts > 0) weaker_.emplace(*request.weaker, replayed.weaker, times, labels, false);
  }

  /// False: cancelled.
  bool draw() {
    const auto& c = model_.config();
    const auto& settings = request_.settings;
    const sampler::Schedule schedule(c.schedule);
    const auto device = model_.device();
    sampler::ImageNoise noise_on_cpu(seeds_, {c.in_channels, c.input_size, c.input_size});
    const auto noise = [&] { return noise_on_cpu().to(device); };
    const at::Tensor start = noise();

    auto problem = problem_of(c, settings);
    problem.draw = noise;
    problem.on_step = [this](const sampler::StepInfo& info) { return step_done(info); };

    const auto meaning = sampler::prediction_from_name(c.prediction);
    const auto as_guided = [&, meaning](at::Tensor output, const at::Tensor& x, double t) {
      return schedule.is_flow() ? sampler::velocity_from(meaning, output, x, t) : output;
    };
    const auto conditional = [&](const at::Tensor& x, double t) {
      return as_guided(evaluate(*good_, x, t, {true}), x, t);
    };
    const auto both = [&](const at::Tensor& x, double t) {
      if (settings.weak_experts > 0) {
        auto good = conditional(x, t);
        --evaluation_;  // the other half of the same evaluation
        return std::pair(good, as_guided(evaluate(*weaker_, x, t, {false}), x, t));
      }
      const auto xx = at::cat({x, x});
      const auto halves = as_guided(evaluate(*good_, xx, t, {true, false}), xx, t).chunk(2);
      return std::pair(halves[0], halves[1]);
    };
    problem.denoiser = sampler::guide(conditional, both, settings.guidance, schedule, problem.prediction);

    const auto result = sampler::solve(solver_settings(settings), problem,
                                       sampler::initial_state(schedule, problem.steps, start));
    return result && finish(*result);
  }

 private:
  // A model on `z`: the images once per entry of `halves` (true: with classes, false: guidance's other half).
  at::Tensor evaluate(const BatchModel& model, const at::Tensor& z, double t,
                      const std::vector<bool>& halves) {
    const auto answer = model(z, t, static_cast<bool>(observer_.routing));
    for (const auto router : {Router::timesteps, Router::tokens}) {
      const auto& layers = answer.routing[static_cast<size_t>(router)];
      for (size_t layer = 0; layer < layers.size(); ++layer)
        report(layers[layer], router, static_cast<int64_t>(layer), t, halves);
    }
    ++evaluation_;
    const auto& c = model_.config();
    const bool variance = c.prediction == to_string(sampler::Prediction::noise_and_variance);
    return answer.output.narrow(1, 0, variance ? 2 * c.in_channels : c.in_channels);
  }

  void report(const kernels::Routing& routing, Router router, int64_t layer, double t,
              const std::vector<bool>& halves) {
    const auto parts = static_cast<int64_t>(halves.size()), k = routing.experts.size(1);
    const auto experts = routing.experts.view({parts, count_, -1, k});  // [parts, images, T, k]
    const auto weights = routing.gate_weights.view_as(experts);
    for (int64_t part = 0; part < parts && !cancelled_; ++part) {
      cancelled_ = !observer_.routing({first_, count_, step_, evaluation_, t, layer, halves[part],
                                       experts[part].cpu(), weights[part].cpu(), router});
    }
  }

  bool step_done(const sampler::StepInfo& info) {
    step_ = info.index + 1;
    evaluation_ = 0;
    if (cancelled_) return false;
    return !observer_.step_done ||
           observer_.step_done({first_, count_, info.index, info.steps, info.t, info.x_hat.cpu(), seconds()});
  }

  bool finish(const at::Tensor& result) {
    const auto images = result.cpu();
    for (int64_t i = 0; observer_.image_finished && i < count_; ++i) {
      const auto image =
          decoder_ != nullptr ? decoded(images.narrow(0, i, 1), first_ + i) : images.narrow(0, i, 1);
      if (!image || !observer_.image_finished({first_ + i, to_pixels((*image)[0]), seconds()})) return false;
    }
    return true;
  }

  // Nothing: cancelled.
  std::optional<at::Tensor> decoded(const at::Tensor& latent, int64_t image) const {
    vae::DecodeOptions options{.memory_limit = request_.decode_memory};
    if (observer_.decoding) options.progress = [&](double done) { return observer_.decoding({image, done}); };
    return decoder_->decode(latent, options);
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  const dit::DiffusionTransformer& model_;
  const vae::Autoencoder* decoder_;
  const Request& request_;
  const Observer& observer_;
  int64_t first_, count_;
  Clock::time_point start_;
  std::vector<uint64_t> seeds_;
  std::optional<BatchModel> good_, weaker_;
  int step_ = 0, evaluation_ = 0;
  bool cancelled_ = false;
};

}  // namespace

std::vector<sampler::Step> steps_of(const dit::ModelConfig& config, const Settings& settings) {
  return sampler::steps_of(sampler::Schedule(config.schedule), settings.solver,
                           {.steps = settings.steps,
                            .spacing = settings.spacing,
                            .shift = settings.shift,
                            .sigma_min = settings.sigma_min,
                            .sigma_max = settings.sigma_max,
                            .rho = settings.rho});
}

dit::DiffusionTransformer weaker_model(dit::DiffusionTransformer& model, int64_t experts_per_token) {
  auto config = model.config();
  if (experts_per_token < 1 || experts_per_token > config.experts_per_token) {
    throw std::invalid_argument(c10::str("the weaker model's experts per token are ", experts_per_token,
                                         ", expected 1..", config.experts_per_token));
  }
  config.experts_per_token = experts_per_token;
  const auto strong = model.parameters();
  dit::DiffusionTransformer weak(config, strong.front().tensor->options());
  const auto places = weak.parameters();
  for (size_t i = 0; i < places.size(); ++i) *places[i].tensor = *strong[i].tensor;
  weak.state_dict()
      .at("pos_embed")
      .copy_(model.state_dict().at("pos_embed"));  // no parameter, but of the file
  weak.pack(model.products());
  return weak;
}

bool generate(const Model& model, const Request& request, const Observer& observer) {
  const at::NoGradGuard no_grad;
  check(model, request);
  if (request.batch_size < 1) {
    throw std::invalid_argument("batch size must be at least 1, got " + std::to_string(request.batch_size));
  }
  for (const auto& image : request.images) {
    const int64_t classes = model.transformer.config().num_classes;
    if (image.label < 0 || image.label > classes) {
      throw std::invalid_argument("class " + std::to_string(image.label) + " is not in 0 .. " +
                                  std::to_string(classes - 1));
    }
  }
  const auto start = Clock::now();
  const auto times = times_of(model.transformer, request.settings);
  Replayed replayed(model, request);
  for (int64_t first = 0; first < static_cast<int64_t>(request.images.size()); first += request.batch_size) {
    if (!Batch(model, replayed, request, observer, first, times, start).draw()) return false;
  }
  return true;
}

at::Tensor to_pixels(const at::Tensor& image) {
  return ((image + 1.0) * 127.5).round().clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
}

}  // namespace switchyard::pipeline

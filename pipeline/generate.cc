#include "pipeline/generate.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>

#include "kernels/side_by_side.h"
#include "sampler/flow.h"
#include "sampler/noise.h"
#include "sampler/time_grid.h"

namespace switchyard::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

// One batch on its way through the solver.
class Batch {
 public:
  Batch(const dit::DiffusionTransformer& model, const Request& request, const Observer& observer,
        int64_t first, Clock::time_point start)
      : model_(model), request_(request), observer_(observer), first_(first), start_(start) {
    count_ = std::min(request.batch_size, static_cast<int64_t>(request.images.size()) - first);
    labels_ = at::empty({count_}, at::kLong);
    for (int64_t i = 0; i < count_; ++i) {
      labels_[i] = request.images[first + i].label;
      seeds_.push_back(request.images[first + i].seed);
    }
  }

  /// False: cancelled.
  bool draw() {
    const auto& c = model_.config();
    const auto& settings = request_.settings;
    const auto prediction = sampler::prediction_from_name(c.prediction);
    const auto conditional = sampler::velocity_denoiser(
        prediction, [this](const at::Tensor& z, double t) { return evaluate(z, t, labels_, {true}); });
    const auto both = [&](const at::Tensor& z, double t) {
      const auto labels = at::cat({labels_, at::full_like(labels_, c.null_class())});
      const auto zz = at::cat({z, z});
      const auto v =
          sampler::velocity_from(prediction, evaluate(zz, t, labels, {true, false}), zz, t).chunk(2);
      return std::pair(v[0], v[1]);
    };
    const auto result =
        sampler::solve(settings.solver, sampler::guide(conditional, both, settings.guidance),
                       sampler::initial_noise(seeds_, {c.in_channels, c.input_size, c.input_size}),
                       sampler::time_grid(settings.steps, settings.shift),
                       [this](const sampler::StepInfo& info) { return step_done(info); });
    return result && finish(*result);
  }

 private:
  // The model on the images of `z`: one part per entry of `halves` (true: with classes, false: without).
  at::Tensor evaluate(const at::Tensor& z, double t, const at::Tensor& labels,
                      const std::vector<bool>& halves) {
    const auto& c = model_.config();
    const auto times = at::full({z.size(0)}, t, at::kFloat);
    const bool record = static_cast<bool>(observer_.routing);

    // The cores share the rows: an image is a function of its own row.
    const int64_t pieces = std::min<int64_t>(z.size(0), at::get_num_threads());
    std::vector<at::Tensor> outputs(pieces);
    std::vector<std::vector<kernels::Routing>> routings(pieces,
                                                        std::vector<kernels::Routing>(record ? c.depth : 0));
    kernels::side_by_side(pieces, [&](int64_t piece) {
      const int64_t first = z.size(0) * piece / pieces, last = z.size(0) * (piece + 1) / pieces;
      dit::RoutingObserver observe;
      if (record)
        observe = [&](int64_t layer, const kernels::Routing& routing) { routings[piece][layer] = routing; };
      outputs[piece] = model_.forward(z.slice(0, first, last), times.slice(0, first, last),
                                      labels.slice(0, first, last), observe);
    });
    for (int64_t layer = 0; record && layer < c.depth; ++layer) report(routings, layer, t, halves);
    ++evaluation_;
    return at::cat(outputs).narrow(1, 0, c.in_channels);
  }

  void report(const std::vector<std::vector<kernels::Routing>>& routings, int64_t layer, double t,
              const std::vector<bool>& halves) {
    std::vector<at::Tensor> experts, weights;
    for (const auto& piece : routings) {
      experts.push_back(piece[layer].experts);
      weights.push_back(piece[layer].gate_weights);
    }
    const auto parts = static_cast<int64_t>(halves.size());
    const auto all_experts =
        at::cat(experts).view({parts, count_, -1, experts.front().size(1)});  // [parts, images, T, k]
    const auto all_weights = at::cat(weights).view_as(all_experts);
    for (int64_t part = 0; part < parts && !cancelled_; ++part) {
      cancelled_ = !observer_.routing(
          {first_, count_, step_, evaluation_, t, layer, halves[part], all_experts[part], all_weights[part]});
    }
  }

  bool step_done(const sampler::StepInfo& info) {
    step_ = info.index + 1;
    evaluation_ = 0;
    if (cancelled_) return false;
    return !observer_.step_done ||
           observer_.step_done({first_, count_, info.index, info.steps, info.t, info.x_hat, seconds()});
  }

  bool finish(const at::Tensor& images) {
    for (int64_t i = 0; observer_.image_finished && i < count_; ++i) {
      if (!observer_.image_finished({first_ + i, to_pixels(images[i]), seconds()})) return false;
    }
    return true;
  }

  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  const dit::DiffusionTransformer& model_;
  const Request& request_;
  const Observer& observer_;
  int64_t first_, count_;
  Clock::time_point start_;
  at::Tensor labels_;
  std::vector<uint64_t> seeds_;
  int step_ = 0, evaluation_ = 0;
  bool cancelled_ = false;
};

}  // namespace

bool generate(const dit::DiffusionTransformer& model, const Request& request, const Observer& observer) {
  const at::NoGradGuard no_grad;
  sampler::validate(request.settings.guidance);
  if (request.batch_size < 1) {
    throw std::invalid_argument("batch size must be at least 1, got " + std::to_string(request.batch_size));
  }
  for (const auto& image : request.images) {
    if (image.label < 0 || image.label > model.config().num_classes) {
      throw std::invalid_argument("class " + std::to_string(image.label) + " is not in 0 .. " +
                                  std::to_string(model.config().num_classes - 1));
    }
  }
  const auto start = Clock::now();
  for (int64_t first = 0; first < static_cast<int64_t>(request.images.size()); first += request.batch_size) {
    if (!Batch(model, request, observer, first, start).draw()) return false;
  }
  return true;
}

at::Tensor to_pixels(const at::Tensor& image) {
  return ((image + 1.0) * 127.5).round().clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
}

}  // namespace switchyard::pipeline

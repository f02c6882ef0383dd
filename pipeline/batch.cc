#include "pipeline/batch.h"

#include <ATen/ATen.h>
#include <c10/util/StringUtil.h>

#include <algorithm>

#include "io/error.h"
#include "sampler/flow.h"
#include "sampler/noise.h"

namespace switchyard::pipeline {
namespace {

class Batch {
 public:
  Batch(const Drawing& drawing, int64_t first)
      : d_(drawing), config_(drawing.model.config()), settings_(drawing.request.settings), first_(first) {
    const auto& images = d_.request.images;
    count_ = std::min(d_.request.batch_size, static_cast<int64_t>(images.size()) - first);
    std::vector<int64_t> labels;
    for (int64_t i = 0; i < count_; ++i) {
      labels.push_back(images[first + i].label);
      seeds_.push_back(images[first + i].seed);
    }
    model_.emplace(d_.model, d_.replayed, d_.times, labels, has_both_halves(settings_));
  }

  std::optional<at::Tensor> draw() {
    const auto device = d_.model.device();
    sampler::ImageNoise noise_on_cpu(seeds_, {config_.in_channels, config_.input_size, config_.input_size});
    const auto noise = [&] { return noise_on_cpu().to(device); };
    const at::Tensor start = noise();

    auto problem = problem_of(config_, settings_);
    problem.draw = noise;
    problem.on_step = [this](const sampler::StepInfo& info) { return step_done(info); };
    const auto meaning = sampler::prediction_from_name(config_.prediction);
    const auto as_guided = [&, meaning](at::Tensor output, const at::Tensor& x, double t) {
      return schedule_.is_flow() ? sampler::velocity_from(meaning, output, x, t) : output;
    };
    const auto conditional = [&](const at::Tensor& x, double t) {
      return as_guided(evaluate(x, t, {true}), x, t);
    };
    const auto both = [&](const at::Tensor& x, double t) {
      if (settings_.weak_experts > 0) {
        auto good = conditional(x, t);
        --evaluation_;  // the other half of the same evaluation
        return std::pair(good, as_guided(evaluate(x, t, {false}), x, t));
      }
      const auto xx = at::cat({x, x});
      const auto halves = as_guided(evaluate(xx, t, {true, false}), xx, t).chunk(2);
      return std::pair(halves[0], halves[1]);
    };
    problem.denoiser = sampler::guide(conditional, both, settings_.guidance, schedule_, problem.prediction);
    try {
      auto result = sampler::solve(settings_.solver, problem,
                                   sampler::initial_state(schedule_, problem.steps, start));
      if (result) require_finite();
      return result;
    } catch (const dit::Stopped&) {
      return std::nullopt;
    }
  }

 private:
  // The model on `z`: the images once per entry of `halves` (true: with classes, false: guidance's other half).
  at::Tensor evaluate(const at::Tensor& z, double t, const std::vector<bool>& halves) {
    auto control = d_.recipe.at(schedule_.noise_fraction(t), first_, count_, halves);
    if (settings_.weak_experts > 0 && !halves.front()) control.experts_per_token = settings_.weak_experts;
    const bool watched = static_cast<bool>(d_.observer.routing);
    const auto& tape = watched ? tape_of(z.size(0)) : kNoTape;
    evaluations_.push_back({z, t, halves, control});
    const auto output = (*model_)(z, t, control, tape, d_.observer.stop);
    if (watched) report(tape, t, halves);
    ++evaluation_;
    const bool variance = config_.prediction == to_string(sampler::Prediction::noise_and_variance);
    return output.narrow(1, 0, variance ? 2 * config_.in_channels : config_.in_channels);
  }

  // Preallocated: a recorded graph writes to fixed addresses.
  const dit::RoutingTape& tape_of(int64_t rows) {
    auto& tape = rows == count_ ? tape_of_one_half_ : tape_of_both_;
    if (!tape.defined()) {
      tape = dit::RoutingTape::allocate(config_, rows, d_.observer.probabilities, d_.model.device());
    }
    return tape;
  }

  void report(const dit::RoutingTape& tape, double t, const std::vector<bool>& halves) {
    for (size_t half = 0; half < halves.size() && !cancelled_; ++half) {
      const auto part = [&](const at::Tensor& all) {
        return all.defined() ? all.narrow(1, static_cast<int64_t>(half) * count_, count_)
                                   .to(at::kCPU, at::kFloat, /*non_blocking=*/false, /*copy=*/true)
                             : all;
      };
      const auto of = [&](const dit::RoutingTape::Of& all) {
        return StepRouting::Of{part(all.gate_weights), part(all.probabilities)};
      };
      cancelled_ = !d_.observer.routing(
          {first_, count_, step_, evaluation_, t, halves[half], of(tape.tokens), of(tape.timesteps)});
    }
  }

  bool step_done(const sampler::StepInfo& info) {
    require_finite();
    std::swap(evaluations_, evaluations_before_);
    evaluations_.clear();
    step_ = info.index + 1;
    steps_ = info.steps;
    finite_ = at::isfinite(info.z).all();
    if (!info.z.is_cuda()) require_finite();  // a GPU is asked one step later, so that nobody waits for it
    evaluation_ = 0;
    if (cancelled_) return false;
    if (!d_.observer.step_done) return true;
    const auto preview = d_.observer.previews ? d_.preview(info.x_hat) : at::Tensor();
    const auto before = static_cast<double>(first_), part = static_cast<double>(info.index + 1) / info.steps;
    const double done = d_.done(before + part * static_cast<double>(count_), before);
    return d_.observer.step_done({first_, count_, info.index, info.steps, info.t, preview, d_.seconds(), done});
  }

  // Looks at the result of the last step that was done, once.
  void require_finite() {
    if (finite_.defined() && !finite_.item<bool>()) fail();
    finite_.reset();
  }

  [[noreturn]] void fail() {
    for (const auto& asked : evaluations_before_) {
      const auto first = d_.model.first_not_finite(asked.z, model_->condition(asked.z.size(0), asked.t), asked.control);
      for (size_t row = 0; row < first.size(); ++row) {
        if (!first[row]) continue;
        const auto image = static_cast<int64_t>(row) % count_;
        const bool conditional = asked.halves[row / static_cast<size_t>(count_)];
        const std::string where = *first[row] < 0                ? "the patch embedding"
                                  : *first[row] == config_.depth ? "the output layer"
                                                                 : c10::str("block ", *first[row]);
        throw io::InputError(c10::str(
            "step ", step_, " of ", steps_, " (t = ", asked.t, "), image ", first_ + image,
            ": the model's numbers are not finite, beginning in ", where, ", in the half ",
            conditional ? "with the class" : "without the class",
            ": its weights hold NaN, or are too large for ", toString(d_.model.dtype())));
      }
    }
    throw io::InputError(c10::str("step ", step_, " of ", steps_,
                                  ": the result is not finite, although every layer of the model is: the settings "
                                  "of solver and guidance drive it out of range"));
  }

  struct Evaluation {
    at::Tensor z;
    double t;
    std::vector<bool> halves;
    dit::RoutingControl control;
  };
  static inline const dit::RoutingTape kNoTape{};

  const Drawing& d_;
  const dit::ModelConfig& config_;
  const Settings& settings_;
  int64_t first_, count_ = 0;
  const sampler::Schedule schedule_{config_.schedule};
  std::vector<uint64_t> seeds_;
  std::optional<BatchModel> model_;
  dit::RoutingTape tape_of_one_half_, tape_of_both_;
  std::vector<Evaluation> evaluations_, evaluations_before_;  // of this step, and of the last one that was done
  at::Tensor finite_;  // [] bool: whether that one's result is finite; undefined once it was looked at
  int step_ = 0, steps_ = 0, evaluation_ = 0;  // step_: how many are done
  bool cancelled_ = false;
};

}  // namespace

bool has_both_halves(const Settings& settings) {
  return settings.guidance.scale != 1 && settings.weak_experts == 0;
}

std::optional<at::Tensor> draw_batch(const Drawing& drawing, int64_t first) { return Batch(drawing, first).draw(); }

}  // namespace switchyard::pipeline

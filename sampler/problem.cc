#include "sampler/problem.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/clamp.h>
#include <ATen/ops/quantile.h>
#include <ATen/ops/stack.h>
#include <c10/util/StringUtil.h>

#include <stdexcept>

namespace switchyard::sampler {
namespace {

[[noreturn]] void refuse(const char* who, Prediction prediction) {
  throw std::invalid_argument(c10::str(who, ": a ", to_string(prediction), " output has to be split first"));
}

}  // namespace

at::Tensor Problem::output(const at::Tensor& x, double t) const {
  auto out = denoiser(x, t).to(x.scalar_type());
  auto expected = x.sizes().vec();
  if (prediction == Prediction::noise_and_variance) expected.at(1) *= 2;
  if (out.sizes() != at::IntArrayRef(expected)) {
    throw std::invalid_argument(c10::str("solve: model output is ", out.sizes(), ", expected ",
                                         at::IntArrayRef(expected), " for a state of ", x.sizes()));
  }
  return out;
}

Estimate Problem::estimate(const at::Tensor& x, const Level& at) const {
  auto out = output(x, at.t);  // [N,C,...], or [N,2C,...]
  auto meaning = prediction;
  Estimate e;
  if (prediction == Prediction::noise_and_variance) {
    const auto halves = out.chunk(2, 1);
    out = halves[0];
    e.variance = halves[1];
    meaning = Prediction::noise;
  }
  e.clean = clean_from(meaning, out, x, at);
  if (limit.active()) {
    e.clean = limited(e.clean, limit);
    if (limit.noise_follows) {
      meaning = Prediction::clean_image;
      out = e.clean;
    }
  }
  e.noise = noise_from(meaning, out, x, at);
  return e;
}

bool Problem::step_done(std::size_t i, const at::Tensor& x_next, const at::Tensor& x_hat) const {
  return !on_step || on_step({static_cast<int>(i), static_cast<int>(steps.size()), steps[i].from.t,
                              steps[i].to.t, x_next, x_hat});
}

at::Tensor Problem::noise_like(const at::Tensor& x) const {
  if (!draw) throw std::invalid_argument("solve: this solver adds noise, and no source of noise was given");
  auto noise = draw();
  if (noise.sizes() != x.sizes()) {
    throw std::invalid_argument(
        c10::str("solve: noise is ", noise.sizes(), ", expected the state's ", x.sizes()));
  }
  return noise.to(x.scalar_type());
}

at::Tensor clean_from(Prediction prediction, const at::Tensor& output, const at::Tensor& x, const Level& at) {
  switch (prediction) {
    case Prediction::velocity:
      return x - at.sigma * output;
    case Prediction::clean_image:
      return output;
    case Prediction::noise:
      return (x - at.sigma * output) / at.alpha;
    case Prediction::v:
      return at.alpha * x - at.sigma * output;
    case Prediction::noise_and_variance:
      break;
  }
  refuse("clean_from", prediction);
}

at::Tensor noise_from(Prediction prediction, const at::Tensor& output, const at::Tensor& x, const Level& at) {
  switch (prediction) {
    case Prediction::velocity:
      return x + at.alpha * output;
    case Prediction::clean_image:
      return (x - at.alpha * output) / at.sigma;
    case Prediction::noise:
      return output;
    case Prediction::v:
      return at.alpha * output + at.sigma * x;
    case Prediction::noise_and_variance:
      break;
  }
  refuse("noise_from", prediction);
}

at::Tensor output_from_clean(Prediction prediction, const at::Tensor& clean, const at::Tensor& x,
                             const Level& at) {
  switch (prediction) {
    case Prediction::velocity:
      return (x - clean) / at.sigma;
    case Prediction::clean_image:
      return clean;
    case Prediction::noise:
      return (x - at.alpha * clean) / at.sigma;
    case Prediction::v:
      return (at.alpha * x - clean) / at.sigma;
    case Prediction::noise_and_variance:
      break;
  }
  refuse("output_from_clean", prediction);
}

at::Tensor limited(const at::Tensor& clean, const Limit& limit) {
  if (limit.threshold_quantile > 0) {
    std::vector<at::Tensor> images;
    for (std::int64_t i = 0; i < clean.size(0); ++i) {
      const auto s = at::quantile(clean[i].flatten().abs(), limit.threshold_quantile)
                         .clamp(1.0, limit.threshold_most);  // a scalar
      images.push_back(at::clamp(clean[i], -s, s) / s);
    }
    return images.empty() ? clean : at::stack(images);
  }
  return limit.clip > 0 ? clean.clamp(-limit.clip, limit.clip) : clean;
}

}  // namespace switchyard::sampler

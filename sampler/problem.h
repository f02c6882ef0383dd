// What every solver is given: the model and what its answers mean, the steps, noise on demand, and who
// watches.
//
// A solver is a plain function from a problem and the state at steps.front().from to the state at
// steps.back().to. The times at which it asks the model depend on the steps alone (evaluation_times() in
// solvers.h relies on it). It computes coefficients in double and the state in the state's dtype, with
// element-wise arithmetic only (each product rounded before it is added), so that an image does not depend on
// the batch it is in, bit for bit.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

#include "sampler/denoiser.h"
#include "sampler/level.h"
#include "sampler/schedule.h"

namespace switchyard::sampler {

/// The next standard normal draw for the whole batch, of the state's shape.
using Draw = std::function<at::Tensor()>;

/// One finished step.
struct StepInfo {
  int index;         // 0 .. steps-1
  int steps;         // steps in all
  double t;          // where the step began, as the model was told
  double t_next;     // where it ended
  at::Tensor z;      // [N,C,...] the state at t_next
  at::Tensor x_hat;  // [N,C,...] the clean images as predicted at t: the preview
};

/// Called after each step; false cancels.
using OnStep = std::function<bool(const StepInfo&)>;

/// Keeps predicted clean images inside a range.
struct Limit {
  double clip = 0;  // above 0: to -clip .. clip
  double threshold_quantile =
      0;  // above 0: dynamic thresholding instead (Saharia et al. 2022, section 2.3): each
          // image to its quantile s of |x_0|, 1 <= s <= threshold_most, then divided by s
  double threshold_most = 1;
  bool noise_follows = true;  // the noise is what makes x_t of the limited x_0, as in official DiT sampling;
                              // else it stays as predicted, as DDIM is in diffusers

  bool active() const { return clip > 0 || threshold_quantile > 0; }
};

/// A model's answer at one level.
struct Estimate {
  at::Tensor clean, noise;  // [N,C,...]
  at::Tensor variance;      // [N,C,...] -1..1, only of noise_and_variance
};

struct Problem {
  Schedule schedule{"rectified_flow"};
  Prediction prediction = Prediction::velocity;
  Denoiser denoiser = {};
  std::vector<Step> steps = {};
  Draw draw = {};  // only for solvers that add noise
  OnStep on_step = {};
  Limit limit = {};

  /// The model's answer: shape checked, in x's dtype.
  at::Tensor output(const at::Tensor& x, double t) const;
  Estimate estimate(const at::Tensor& x, const Level& at) const;

  /// Tells on_step about step i; false: cancelled.
  bool step_done(std::size_t i, const at::Tensor& x_next, const at::Tensor& x_hat) const;

  /// draw(), shape checked and in x's dtype.
  at::Tensor noise_like(const at::Tensor& x) const;
};

/// x_0 and noise from a model's output (of velocity, clean_image, noise or v) at a level. Of a velocity,
/// alpha + sigma = 1. Noise of a clean image needs sigma > 0, a clean image of noise alpha > 0.
at::Tensor clean_from(Prediction prediction, const at::Tensor& output, const at::Tensor& x, const Level& at);
at::Tensor noise_from(Prediction prediction, const at::Tensor& output, const at::Tensor& x, const Level& at);

/// The output that means this clean image: the way back.
at::Tensor output_from_clean(Prediction prediction, const at::Tensor& clean, const at::Tensor& x,
                             const Level& at);

at::Tensor limited(const at::Tensor& clean, const Limit& limit);

}  // namespace switchyard::sampler

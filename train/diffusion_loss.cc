#include "train/diffusion_loss.h"

#include <ATen/ATen.h>

#include <cmath>
#include <numbers>

namespace switchyard::train {
namespace {

at::Tensor per_image(const at::Tensor& values) { return values.view({-1, 1, 1, 1}); }

// KL of two normal distributions, in nats, element by element.
at::Tensor normal_kl(const at::Tensor& mean1, const at::Tensor& log_variance1, const at::Tensor& mean2,
                     const at::Tensor& log_variance2) {
  return 0.5 * (log_variance2 - log_variance1 - 1 + at::exp(log_variance1 - log_variance2) +
                (mean1 - mean2).square() * at::exp(-log_variance2));
}

// The tanh fit of the normal distribution function that the official code uses.
at::Tensor normal_cdf(const at::Tensor& x) {
  return 0.5 * (1 + at::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x.pow(3))));
}

// In fp32 like the official code, whatever the coefficients are: far from the mean the difference of the two
// functions vanishes in fp32 and the floor below decides, which makes 2 % of this term in an untrained model.
// -log of the probability that x, one of 256 steps in [-1, 1], was meant; nats, element by element.
at::Tensor step_likelihood(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& log_variance) {
  constexpr double kHalfStep = 1.0 / 255, kLeast = 1e-12;
  const auto inverse_deviation = at::exp(-0.5 * log_variance), centred = x - mean;
  const auto below_upper = normal_cdf(inverse_deviation * (centred + kHalfStep));
  const auto below_lower = normal_cdf(inverse_deviation * (centred - kHalfStep));
  const auto first = at::log(below_upper.clamp_min(kLeast));       // everything below, at -1
  const auto last = at::log((1 - below_lower).clamp_min(kLeast));  // everything above, at 1
  const auto between = at::log((below_upper - below_lower).clamp_min(kLeast));
  return -at::where(x < -0.999, first, at::where(x > 0.999, last, between));
}

}  // namespace

at::Tensor mean_squared_error(const at::Tensor& prediction, const at::Tensor& target) {
  return (prediction - target).square().flatten(1).mean(1);
}

at::Tensor variational_bound(const at::Tensor& x, const at::Tensor& x_t, const at::Tensor& predicted_noise,
                             const at::Tensor& variance_values, const at::Tensor& t,
                             const DiffusionCoefficients& c) {
  const auto alpha_bar = per_image(c.alpha_bar), previous = per_image(c.alpha_bar_previous);
  const auto beta = per_image(c.beta), least = per_image(c.posterior_log_variance);
  const auto posterior_mean = [&](const at::Tensor& image) {
    return (at::sqrt(previous) * beta * image + at::sqrt(1 - beta) * (1 - previous) * x_t) / (1 - alpha_bar);
  };
  const auto predicted = (x_t - at::sqrt(1 - alpha_bar) * predicted_noise.detach()) / at::sqrt(alpha_bar);
  const auto mean = posterior_mean(predicted);
  const auto share = (variance_values + 1) / 2;
  const auto log_variance = share * at::log(beta) + (1 - share) * least;

  const auto kl = normal_kl(posterior_mean(x), least, mean, log_variance);
  const auto likelihood = step_likelihood(x.to(at::kFloat), mean.to(at::kFloat), log_variance.to(at::kFloat));
  return at::where(per_image(t) == 0, likelihood, kl).flatten(1).mean(1) / std::numbers::ln2;
}

at::Tensor min_snr_weight(const at::Tensor& alpha_bar, double gamma) {
  const auto snr = alpha_bar / (1 - alpha_bar);
  return snr.clamp_max(gamma) / snr;
}

at::Tensor p2_weight(const at::Tensor& alpha_bar, double gamma, double k) {
  return (k + alpha_bar / (1 - alpha_bar)).pow(-gamma);
}

at::Tensor uncertainty_weighted(const at::Tensor& loss, const at::Tensor& log_variance) {
  return at::exp(-log_variance) * loss + log_variance;
}

}  // namespace switchyard::train

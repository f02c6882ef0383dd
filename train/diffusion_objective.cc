#include "train/diffusion_objective.h"

#include <ATen/ATen.h>

#include "sampler/schedule.h"
#include "train/diffusion_loss.h"
#include "train/noise.h"

namespace switchyard::train {
namespace {

// alpha^2 of all timesteps, [T] fp64.
at::Tensor alphas_cumprod(const dit::ModelConfig& config) {
  return at::tensor(sampler::Schedule(config.schedule).alphas_cumprod(), at::kDouble);
}

at::Tensor per_image(const at::Tensor& values, const at::Tensor& images) {  // [N] -> [N, 1, 1, 1]
  return values.to(images.device(), at::kFloat).view({-1, 1, 1, 1});
}

DiffusionCoefficients coefficients_at(const at::Tensor& bar, const at::Tensor& t, at::Device device) {
  const auto previous = at::cat({at::ones({1}, at::kDouble), bar.slice(0, 0, -1)});
  const auto beta = 1 - bar / previous;
  auto variance = beta * (1 - previous) / (1 - bar);
  variance[0] = variance[1];  // zero at the first
  const auto pick = [&](const at::Tensor& all) {
    return all.index_select(0, t.cpu()).to(device, at::kFloat);
  };
  return {pick(bar), pick(previous), pick(beta), pick(variance.log())};
}

}  // namespace

NoisyImages diffuse(const dit::ModelConfig& config, const at::Tensor& images,
                    const at::Generator& generator) {
  NoisyImages shown;
  shown.noise = normal_noise(images, generator);
  shown.t = at::randint(config.num_timesteps, {images.size(0)}, generator, at::kLong);
  const auto bar = alphas_cumprod(config).index_select(0, shown.t);
  shown.x_t = per_image(bar.sqrt(), images) * images + per_image((1 - bar).sqrt(), images) * shown.noise;
  shown.t = shown.t.to(images.device());
  return shown;
}

at::Tensor diffusion_loss_per_image(const dit::ModelConfig& config, const at::Tensor& output,
                                    const at::Tensor& images, const NoisyImages& shown, double min_sigma) {
  const auto all = alphas_cumprod(config);
  const auto answer = output.narrow(1, 0, config.in_channels);
  const auto bar = all.index_select(0, shown.t.cpu());
  if (config.prediction == "clean_image") {
    const auto sigma = (1 - bar).sqrt().to(images.device(), at::kFloat);
    return mean_squared_error(answer, images) / sigma.clamp_min(min_sigma).square();
  }
  auto target = shown.noise;
  if (config.prediction == "v") {
    target = per_image(bar.sqrt(), images) * shown.noise - per_image((1 - bar).sqrt(), images) * images;
  }
  auto loss = mean_squared_error(answer, target);
  if (config.prediction == "noise_and_variance") {
    const auto bound =
        variational_bound(images, shown.x_t, answer, output.narrow(1, config.in_channels, config.in_channels),
                          shown.t, coefficients_at(all, shown.t, images.device()));
    loss = loss + bound * (static_cast<double>(config.num_timesteps) / 1000.0);
  }
  return loss;
}

}  // namespace switchyard::train

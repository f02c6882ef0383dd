#include "train/flow_matching.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include "dit/timestep_experts.h"
#include "dit/token_router.h"
#include "train/diffusion_objective.h"
#include "train/noise.h"
#include "train/prior_loss.h"

namespace switchyard::train {

at::Tensor flow_loss_per_image(bool predicts_clean_image, const at::Tensor& output, const at::Tensor& images,
                               const at::Tensor& noise, const at::Tensor& t, double min_time) {
  if (!predicts_clean_image) return (output - (noise - images)).square().mean({1, 2, 3});
  return (output - images).square().mean({1, 2, 3}) / t.clamp_min(min_time).square();
}

namespace {

// What the routers of one forward did, as far as the losses ask.
struct Routed {
  std::vector<kernels::Routing> tokens, timesteps;  // per layer, with gradients

  dit::RoutingTape tape() { return {.tokens = {.kept = &tokens}, .timesteps = {.kept = &timesteps}}; }
};

// Per layer [E] int64.
std::vector<at::Tensor> choices_of(const std::vector<kernels::Routing>& layers) {
  std::vector<at::Tensor> choices;
  for (const auto& routing : layers) choices.push_back(kernels::expert_choices(routing));
  return choices;
}

// Sum over the layers.
at::Tensor balance_of(const std::vector<kernels::Routing>& layers, const std::vector<at::Tensor>& choices) {
  at::Tensor sum;
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const auto loss = kernels::balance_loss(layers[layer], choices[layer]);
    sum = sum.defined() ? sum + loss : loss;
  }
  return sum;
}

// Which expert plays which window is chosen anew at every step, for the routers as they are.
at::Tensor prior_of(const dit::DiffusionTransformer& model, const Routed& routed, const at::Tensor& t,
                    const at::Generator& generator) {
  const auto windows = dit::prior_windows(model.config());
  PriorMatch match;
  {
    const at::NoGradGuard no_grad;
    match = match_prior(model.timestep_routing(), windows, generator);
  }
  std::vector<at::Tensor> probabilities;  // per layer [N, E]
  for (const auto& routing : routed.timesteps) probabilities.push_back(routing.probabilities);
  return prior_loss(probabilities, t, windows, match);
}

}  // namespace

ShardLoss shard_loss(const dit::DiffusionTransformer& model, const at::Tensor& images,
                     const at::Tensor& labels, uint64_t draw_seed, const Recipe& recipe) {
  const auto& config = model.config();
  const auto generator = at::detail::createCPUGenerator(draw_seed);
  const int64_t n = images.size(0);
  const bool is_flow = config.schedule == "rectified_flow";
  const auto times = at::sigmoid(at::randn({n}, generator) * recipe.time_scale + recipe.time_location);
  const auto dropped = at::rand({n}, generator) < recipe.class_dropout;
  const auto condition = labels.masked_fill(dropped, config.null_class()).to(images.device());

  NoisyImages shown;
  if (is_flow) {
    shown.noise = normal_noise(images, generator);
    shown.t = times.to(images.device());
    const auto t_image = shown.t.view({n, 1, 1, 1});
    shown.x_t = (1 - t_image) * images + t_image * shown.noise;
  } else {
    shown = diffuse(config, images, generator);
  }
  Routed routed;
  const auto output = model.forward(shown.x_t, shown.t, condition, {}, routed.tape());
  const auto per_image = is_flow ? flow_loss_per_image(config.prediction == "clean_image",
                                                       output.narrow(1, 0, config.in_channels), images,
                                                       shown.noise, shown.t, recipe.min_time)
                                 : diffusion_loss_per_image(config, output, images, shown, recipe.min_time);
  const auto flow = per_image.mean();

  ShardLoss loss;
  loss.total = flow;
  loss.flow = flow.detach();
  loss.balance = loss.prior = at::zeros_like(loss.flow);
  loss.expert_choices = choices_of(config.routes_tokens() ? routed.tokens : routed.timesteps);
  if (config.routes_tokens()) {
    const auto balance = balance_of(routed.tokens, loss.expert_choices);
    // Routers that keep the balance by themselves have it shown, and not in the loss.
    if (dit::find_part(dit::token_routers(), config.token_router)->needs_balance_loss)
      loss.total = loss.total + recipe.balance_weight * balance;
    loss.balance = balance.detach() / static_cast<double>(config.depth);
  }
  if (config.routes_timesteps()) {
    const auto prior = prior_of(model, routed, shown.t, generator);
    loss.total = loss.total + prior;
    loss.prior = prior.detach();
  }
  return loss;
}

}  // namespace switchyard::train

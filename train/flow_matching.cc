#include "train/flow_matching.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace switchyard::train {

at::Tensor flow_loss_per_image(bool predicts_clean_image, const at::Tensor& output, const at::Tensor& images,
                               const at::Tensor& noise, const at::Tensor& t, double min_time) {
  if (!predicts_clean_image) return (output - (noise - images)).square().mean({1, 2, 3});
  return (output - images).square().mean({1, 2, 3}) / t.clamp_min(min_time).square();
}

ShardLoss shard_loss(const dit::DiffusionTransformer& model, const at::Tensor& images,
                     const at::Tensor& labels, uint64_t draw_seed, const Recipe& recipe) {
  const auto& config = model.config();
  const auto generator = at::detail::createCPUGenerator(draw_seed);
  const int64_t n = images.size(0);
  const auto t = at::sigmoid(at::randn({n}, generator) * recipe.time_scale + recipe.time_location);
  const auto dropped = at::rand({n}, generator) < recipe.class_dropout;
  const auto noise = at::randn(images.sizes(), generator).to(images.device());
  const auto t_image = t.to(images.device()).view({n, 1, 1, 1});
  const auto noisy = (1 - t_image) * images + t_image * noise;
  const auto condition = labels.masked_fill(dropped, config.null_class()).to(images.device());

  ShardLoss loss;
  at::Tensor balance;
  const auto output =
      model.forward(noisy, t.to(images.device()), condition, [&](int64_t, const kernels::Routing& routing) {
        const auto layer = kernels::balance_loss(routing);
        balance = balance.defined() ? balance + layer : layer;
        loss.expert_choices.push_back(at::bincount(routing.experts.flatten(), {}, config.num_experts));
      });
  const auto flow =
      flow_loss_per_image(config.prediction == "clean_image", output.narrow(1, 0, config.in_channels), images,
                          noise, t.to(images.device()), recipe.min_time)
          .mean();
  loss.total = flow + recipe.balance_weight * balance;
  loss.flow = flow.item<double>();
  loss.balance = balance.item<double>() / static_cast<double>(config.depth);
  return loss;
}

}  // namespace switchyard::train

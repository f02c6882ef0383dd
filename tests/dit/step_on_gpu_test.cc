// A whole guided step on a GPU never waits for it: no copy to the host, no synchronisation. Without a GPU the
// same steps run on the CPU, where there is nothing to wait for.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "dit/replayed_forward.h"
#include "kernels/cuda/graph.h"
#include "model_on_device.h"
#include "sampler/guidance.h"
#include "sampler/solvers.h"

namespace switchyard::dit {
namespace {

using Forward = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y)>;

// One guided step from t_from to t_to, as pipeline/batch.cc makes it: both halves in one batch.
at::Tensor guided_step(const DiffusionTransformer& model, const Forward& forward, const at::Tensor& z,
                       const at::Tensor& labels, double t_from, double t_to) {
  const auto& c = model.config();
  const auto evaluate = [&](const at::Tensor& x, double t, const at::Tensor& y) {
    const auto where = c.integer_timesteps() ? at::Device(at::kCPU) : model.device();
    const auto times = at::full({x.size(0)}, c.integer_timesteps() ? std::nearbyint(99 * t) : t,
                                at::device(where).dtype(at::kFloat));
    return forward(x, times, y).narrow(1, 0, c.in_channels);
  };
  const auto guided = sampler::guide(
      [&](const at::Tensor& x, double t) { return evaluate(x, t, labels); },
      [&](const at::Tensor& x, double t) {
        const auto both =
            evaluate(at::cat({x, x}), t, at::cat({labels, at::full_like(labels, c.null_class())})).chunk(2);
        return std::pair(both[0], both[1]);
      },
      {.scale = 2.0});
  return *sampler::solve(sampler::Solver::euler, guided, z, {t_from, t_to}, {});
}

struct Case {
  const char* name;
  ModelConfig config;
};

std::vector<Case> cases() {
  auto tasks = small_task_config(graph_config(/*dense=*/true));
  auto experts = small_switch_config(graph_config());
  return {
      {"dit_moe", graph_config()}, {"dit", graph_config(true)}, {"dtr", tasks}, {"switch_dit_moe", experts}};
}

class StepOnGpu : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA() && !kernels::has_bf16_products()) GTEST_SKIP() << "no GPU and no bf16 products";
  }
};
INSTANTIATE_TEST_SUITE_P(Each, StepOnGpu, ::testing::ValuesIn(cases()),
                         [](const auto& instance) { return instance.param.name; });

TEST_P(StepOnGpu, DoesNotWait) {
  const at::NoGradGuard no_grad;
  const auto model = random_model_on(gpu_or_cpu(), GetParam().config, at::kBFloat16);
  const auto& c = model.config();
  const auto z = random({3, c.in_channels, c.input_size, c.input_size}, 7).to(model.device());
  const auto labels = at::tensor({0, 1, 2}, at::kLong).to(model.device());
  ReplayedForward replayed(model);
  const Forward plain = [&](const auto& x, const auto& t, const auto& y) { return model.forward(x, t, y); };
  const Forward recorded = [&](const auto& x, const auto& t, const auto& y) { return replayed(x, t, y); };
  for (const auto& forward : {plain, recorded}) {
    const auto first = guided_step(model, forward, z, labels, 0.9, 0.8);  // libraries choose, graphs are made
    at::Tensor again, next;
    EXPECT_TRUE(kernels::cuda::runs_without_waiting([&] {
      again = guided_step(model, forward, z, labels, 0.9, 0.8);
      next = guided_step(model, forward, again, labels, 0.8, 0.7);
    }));
    ASSERT_TRUE(again.defined() && next.defined());
    EXPECT_TRUE(at::equal(first, again));
    EXPECT_TRUE(at::isfinite(next).all().item<bool>());
  }
  if (!model.device().is_cuda() || !kernels::cuda::can_refuse_to_wait())
    GTEST_SKIP() << "the steps agree; that nothing waits was not checked: no GPU";
}

// The check itself: what does wait is refused.
TEST(RunsWithoutWaiting, RefusesToReadAResult) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU";
  const auto x = at::ones({3}, at::device(at::kCUDA));
  EXPECT_FALSE(kernels::cuda::runs_without_waiting([&] { x.sum().item<float>(); }));
  EXPECT_TRUE(kernels::cuda::runs_without_waiting([&] { x.sum(); }));
  EXPECT_EQ(x.sum().item<float>(), 3) << "allowed again";
}

TEST(RunsWithoutWaiting, HandsOnOtherErrors) {
  EXPECT_THROW(kernels::cuda::runs_without_waiting([] { throw std::runtime_error("mine"); }),
               std::runtime_error);
}

}  // namespace
}  // namespace switchyard::dit

#include "train/optimizer.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace switchyard::train {
namespace {

constexpr int64_t kSize = 33;

OptimizerState fresh_state(const at::Tensor& weights) {
  return {weights.clone(), weights.clone(), at::zeros_like(weights), at::zeros_like(weights)};
}

// AdamW, clipping and the average as their papers write them, one weight at a time in double.
TEST(Optimizer, FollowsTheDefinition) {
  Recipe recipe;
  recipe.warmup_images = 2 * recipe.batch_size;  // the rate differs between the steps
  recipe.weight_decay = 0.1;
  recipe.ema_decay = 0.2;  // reached after the third step
  const auto generator = at::detail::createCPUGenerator(1);
  const auto start = at::randn({kSize}, generator);
  const auto state = fresh_state(start);
  std::vector<double> w(kSize), average(kSize), m(kSize), v(kSize);
  for (int64_t i = 0; i < kSize; ++i) w[i] = average[i] = start[i].item<double>();

  for (int64_t step = 0; step < 4; ++step) {
    auto gradient =
        at::randn({kSize}, generator) * (step == 1 ? 0.01 : 1.0);  // step 1 stays below the clipping norm
    std::vector<double> g(kSize);
    double norm = 0;
    for (int64_t i = 0; i < kSize; ++i) {
      g[i] = gradient[i].item<double>();
      norm += g[i] * g[i];
    }
    norm = std::sqrt(norm);
    const double clip = norm > recipe.max_gradient_norm ? recipe.max_gradient_norm / norm : 1.0;
    const double n = static_cast<double>(step + 1), rate = recipe.learning_rate_at(step);
    const double decay = std::min(recipe.ema_decay, n / (n + 10));
    for (int64_t i = 0; i < kSize; ++i) {
      m[i] = recipe.beta1 * m[i] + (1 - recipe.beta1) * clip * g[i];
      v[i] = recipe.beta2 * v[i] + (1 - recipe.beta2) * clip * g[i] * clip * g[i];
      const double m_hat = m[i] / (1 - std::pow(recipe.beta1, n)),
                   v_hat = v[i] / (1 - std::pow(recipe.beta2, n));
      w[i] -= rate * recipe.weight_decay * w[i];
      w[i] -= rate * m_hat / (std::sqrt(v_hat) + recipe.adam_eps);
      average[i] = decay * average[i] + (1 - decay) * w[i];
    }
    EXPECT_NEAR(optimizer_step(recipe, step, gradient, state), norm, 1e-5 * norm);
    for (int64_t i = 0; i < kSize; ++i) {
      ASSERT_NEAR(state.master[i].item<double>(), w[i], 2e-6) << "step " << step << ", weight " << i;
      ASSERT_NEAR(state.average[i].item<double>(), average[i], 2e-6) << "step " << step << ", average " << i;
    }
  }
}

TEST(Optimizer, GradientThatIsNotFiniteChangesNothing) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const auto start = at::ones({kSize});
    const auto state = fresh_state(start);
    auto gradient = at::zeros({kSize});
    gradient[31] = bad;
    EXPECT_THROW(optimizer_step(Recipe{}, 7, gradient, state), std::runtime_error);
    EXPECT_TRUE(at::equal(state.master, start) && at::equal(state.average, start));
    EXPECT_TRUE(state.first_moment.eq(0).all().item<bool>());
  }
}

}  // namespace
}  // namespace switchyard::train

// The assignment, the diffusion prior and the weightings on cases that can be counted by hand.
#include "train/prior_loss.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "train/assignment.h"
#include "train/diffusion_loss.h"

namespace switchyard::train {
namespace {

double cost_of(const at::Tensor& cost, const std::vector<int64_t>& columns) {
  double sum = 0;
  for (size_t row = 0; row < columns.size(); ++row)
    sum += cost[static_cast<int64_t>(row)][columns[row]].item<double>();
  return sum;
}

TEST(Assignment, IsTheCheapestOfAllPermutations) {
  for (const int64_t n : {1, 2, 3, 5, 7}) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      // Small integers, so that there are ties; some below zero.
      const auto cost = at::randint(-3, 9, {n, n}, at::detail::createCPUGenerator(seed), at::kDouble);
      std::vector<int64_t> columns(n);
      std::iota(columns.begin(), columns.end(), 0);
      double least = cost_of(cost, columns);
      const auto ours = cheapest_assignment(cost);
      EXPECT_TRUE(std::is_permutation(ours.begin(), ours.end(), columns.begin()));
      while (std::next_permutation(columns.begin(), columns.end()))
        least = std::min(least, cost_of(cost, columns));
      EXPECT_EQ(cost_of(cost, ours), least) << n << ' ' << seed;
    }
  }
}

TEST(Assignment, FindsAHiddenPermutation) {
  constexpr int64_t n = 84;  // the experts of 28 layers
  const auto order = at::randperm(n, at::detail::createCPUGenerator(1), at::kLong);
  auto cost = at::rand({n, n}, at::detail::createCPUGenerator(2)) + 1;
  for (int64_t row = 0; row < n; ++row) cost[row][order[row].item<int64_t>()] = 0.5;
  const auto ours = cheapest_assignment(cost);
  EXPECT_TRUE(at::equal(at::tensor(ours, at::kLong), order));
}

// Routers that choose exactly as the windows say have nothing to pay, in whatever order the columns come.
TEST(PriorLoss, IsZeroForWhatTheWindowsSay) {
  constexpr int64_t timesteps = 31, experts = 3, layers = 2;
  // Each timestep picks two of three experts in each layer: windows that leave out one expert of each layer.
  auto windows = at::ones({timesteps, layers * experts});
  std::vector<kernels::Routing> routing(layers);
  std::vector<at::Tensor> batch;
  const auto t = at::tensor({0, 7, 30}, at::kLong);
  for (int64_t layer = 0; layer < layers; ++layer) {
    auto probabilities = at::full({timesteps, experts}, 0.5);
    for (int64_t step = 0; step < timesteps; ++step) {
      const int64_t left_out = (step * experts / timesteps + layer) % experts;
      probabilities[step][left_out] = 0;
      windows[step][layer * experts + left_out] = 0;
    }
    routing[layer] = {probabilities, std::get<1>(probabilities.topk(2, 1)), {}};
    batch.push_back(probabilities.index_select(0, t));
  }
  const auto match = match_prior(routing, windows, at::detail::createCPUGenerator(4));
  EXPECT_EQ(match.total_cost, 0);
  EXPECT_NEAR(prior_loss(batch, t, windows, match).item<double>(), 0, 1e-6);
  // The largest divergence is log 2, of distributions that share nothing.
  const std::vector<at::Tensor> opposite{1 - 2 * batch[0], 1 - 2 * batch[1]};
  EXPECT_NEAR(prior_loss(opposite, t, windows, match).item<double>(), std::log(2.0), 1e-4);
}

TEST(PriorLoss, OrdersAreDrawnFromTheGenerator) {
  const auto probabilities = at::softmax(at::randn({20, 5}, at::detail::createCPUGenerator(1)), 1);
  const std::vector<kernels::Routing> routing{{probabilities, std::get<1>(probabilities.topk(2, 1)), {}}};
  const auto windows = at::zeros({20, 5});
  const auto draw = [&](uint64_t seed) {
    return match_prior(routing, windows, at::detail::createCPUGenerator(seed));
  };
  EXPECT_TRUE(at::equal(draw(1).gate_order, draw(1).gate_order));
  EXPECT_FALSE(at::equal(draw(1).gate_order, draw(2).gate_order));
}

TEST(Weighting, AtKnownSignalToNoise) {
  const auto alpha_bar = at::tensor({0.5, 0.9, 10.0 / 11}, at::kDouble);  // SNR 1, 9, 10
  EXPECT_TRUE(at::allclose(min_snr_weight(alpha_bar, 5), at::tensor({1.0, 5.0 / 9, 0.5}, at::kDouble)));
  EXPECT_TRUE(at::allclose(p2_weight(alpha_bar, 1, 1), at::tensor({0.5, 0.1, 1.0 / 11}, at::kDouble)));
  EXPECT_TRUE(at::allclose(p2_weight(alpha_bar, 0.5, 0),
                           at::tensor({1.0, 1.0 / 3, std::pow(10, -0.5)}, at::kDouble)));
}

TEST(Weighting, UncertaintyIsLeastAtTheLogOfTheLoss) {
  const auto loss = at::tensor({0.25, 3.0}, at::kDouble);
  const auto best = uncertainty_weighted(loss, loss.log());
  EXPECT_TRUE(at::allclose(best, 1 + loss.log()));
  for (const double shift : {-0.1, 0.1})
    EXPECT_TRUE((uncertainty_weighted(loss, loss.log() + shift) > best).all().item<bool>());
}

// The bound trains the variance alone, and is least where the variance is the true one.
TEST(VariationalBound, HasNoGradientForTheNoise) {
  const auto generator = at::detail::createCPUGenerator(3);
  const auto x = at::randn({2, 3, 4, 4}, generator), noise = at::randn({2, 3, 4, 4}, generator);
  auto predicted = at::randn({2, 3, 4, 4}, generator).set_requires_grad(true);
  auto values = at::zeros({2, 3, 4, 4}).set_requires_grad(true);
  const auto bar = at::tensor({0.5, 0.9}), previous = at::tensor({0.6, 0.95}), beta = 1 - bar / previous;
  const DiffusionCoefficients c{bar, previous, beta, at::log(beta * (1 - previous) / (1 - bar))};
  const auto x_t = bar.sqrt().view({2, 1, 1, 1}) * x + (1 - bar).sqrt().view({2, 1, 1, 1}) * noise;
  const auto t = at::tensor({31, 5}, at::kLong);
  variational_bound(x, x_t, predicted, values, t, c).sum().backward();
  EXPECT_FALSE(predicted.grad().defined());
  EXPECT_GT(values.grad().abs().max().item<double>(), 0);
  // The true noise and the posterior's own variance: both distributions are the same.
  const auto none = variational_bound(x, x_t, noise, at::full_like(values, -1), t, c);
  EXPECT_LE(none.abs().max().item<double>(), 1e-6);
}

}  // namespace
}  // namespace switchyard::train

// The diffusion prior of Switch-DiT (Park et al. 2024, section 4.3): the routers' choices should resemble
// DTR's task windows, so that near timesteps share experts and all timesteps share some.
//
//   M columns: the experts of all layers, side by side. A [T, M] is 1 where timestep t picks the expert; B
//   [T, M] are the windows. Which expert plays which column of the windows is free: the pairing of least
//   sum_t |A_ti - B_tj| is taken. p = probabilities of the batch's timesteps / layers,  q = their windows in
//   the paired order / row sum,  h = (p + q) / 2 loss = mean over the batch of  1/2 sum p (log(p + e) - log(h
//   + e)) + 1/2 sum q (log(q + e) - log(h + e)),  e = 1e-6
//
// The columns of both sides are put in random order first, so that ties in the pairing are broken differently
// each time.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <vector>

#include "kernels/routing/routing.h"

namespace switchyard::train {

struct PriorMatch {
  at::Tensor gate_order, window_order;  // [M] int64: the columns in the order they were looked at
  at::Tensor paired;                    // [M] int64: for each place in gate_order a place in window_order
  double total_cost = 0;
};

/// cost[i, j] = sum_t |A[t, gate_order[i]] - B[t, window_order[j]]|, [M, M] fp64.
///   all_timesteps  each layer's routing of all T timesteps: DiffusionTransformer::timestep_routing()
///   windows        [T, M]: dit::prior_windows()
at::Tensor prior_cost(const std::vector<kernels::Routing>& all_timesteps, const at::Tensor& windows,
                      const at::Tensor& gate_order, const at::Tensor& window_order);

PriorMatch match_prior(const std::vector<kernels::Routing>& all_timesteps, const at::Tensor& windows,
                       at::Tensor gate_order, at::Tensor window_order);

/// With both orders drawn from the generator.
PriorMatch match_prior(const std::vector<kernels::Routing>& all_timesteps, const at::Tensor& windows,
                       const at::Generator& generator);

/// Scalar with gradient.
///   batch   each layer's probabilities [N, E] of the batch, as RoutingObserver::timesteps hears of them
///   t       [N] int64, their timesteps
at::Tensor prior_loss(const std::vector<at::Tensor>& batch, const at::Tensor& t, const at::Tensor& windows,
                      const PriorMatch& match);

}  // namespace switchyard::train

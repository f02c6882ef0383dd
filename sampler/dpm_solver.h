// DPM-Solver++, multistep, of order 1 to 3, and its stochastic form of order 1 and 2.
//
// Exact in the linear part and a polynomial in lambda = log(alpha / sigma) for x_0:
//   x_to = sigma_to/sigma x - alpha_to (e^-h - 1) D_0 + ...,   h = lambda_to - lambda
// Order 3 has the coefficients of the published code and of diffusers, whose quadratic term is half of
// Taylor's: in the limit of many steps it converges with order 2. Lu et al. 2022, "DPM-Solver++", algorithm 2
// (2M) and appendix (3M, SDE).
#pragma once

#include <optional>

#include "sampler/problem.h"

namespace switchyard::sampler {

struct DpmOptions {
  int order = 2;            // 1..3; with noise 1..2
  bool stochastic = false;  // one draw per step
  bool heun = false;        // order 2: the second-order term's exact integral, in place of the midpoint form
  bool lower_order_final = true;   // with fewer than 15 steps, the last ones of order 2 and 1
  bool first_order_final = false;  // the last step of order 1 in any case; a step to sigma = 0 always is
};

/// Throws std::invalid_argument for another order.
std::optional<at::Tensor> solve_dpm(const Problem& problem, at::Tensor x, const DpmOptions& options = {});

}  // namespace switchyard::sampler

// The exact denoiser of data that follow a Gaussian mixture: what a perfect model would answer.
//
// x_0 ~ sum_k w_k N(mu_k, std_k^2 I), x = a x_0 + s noise. With v_k = a^2 std_k^2 + s^2 and
// r = softmax_k(log w_k - |x - a mu_k|^2 / (2 v_k) - d/2 log v_k), the expected x_0 is
//   D = sum_k r_k (mu_k + a std_k^2 / v_k (x - a mu_k)).
#pragma once

#include <ATen/ATen.h>

#include <cmath>

#include "sampler/problem.h"

namespace switchyard::sampler {

struct Mixture {
  at::Tensor weights, means, stds;  // [K], [K,...], [K] float64

  at::Tensor clean(const at::Tensor& x, double a, double s) const {
    const auto z = x.to(at::kDouble).flatten(1), mu = means.flatten(1);  // [N,d], [K,d]
    const auto difference = z.unsqueeze(1) - a * mu.unsqueeze(0);        // [N,K,d]
    const auto v = a * a * stds.square() + s * s;                        // [K]
    const auto log_r =
        weights.log() - difference.square().sum(2) / (2 * v) - 0.5 * static_cast<double>(z.size(1)) * v.log();
    const auto r = at::softmax(log_r, 1).unsqueeze(2);                                 // [N,K,1]
    const auto of_component = mu + (a * stds.square() / v).unsqueeze(1) * difference;  // [N,K,d]
    return (r * of_component).sum(1).view_as(x).to(x.scalar_type());
  }

  /// What a model of that prediction would say.
  at::Tensor answer(Prediction prediction, const at::Tensor& x, const Level& at) const {
    return output_from_clean(prediction, clean(x, at.alpha, at.sigma), x, at);
  }
};

}  // namespace switchyard::sampler

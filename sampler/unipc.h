// UniPC: a predictor of any order and a corrector that costs no evaluation, since it uses the one that the
// next step needs anyway. Zhao et al. 2023, "UniPC", algorithms 1 and 2, with B(h) = h (bh1) or e^h - 1
// (bh2).
#pragma once

#include <optional>
#include <vector>

#include "sampler/problem.h"

namespace switchyard::sampler {

struct UnipcOptions {
  int order = 2;               // 1..3
  bool bh1 = false;            // B(h) = h; made for many or unconditional steps, not for a step to sigma = 0
  bool predict_noise = false;  // in noise rather than clean images; not for a step to sigma = 0
  bool lower_order_final = true;  // the last steps of order 2 and 1; a step to sigma = 0 always is of order 1
  std::vector<int> without_corrector;  // steps whose result is not corrected
};

/// Throws std::invalid_argument for another order, or a step to sigma = 0 with bh1 or predict_noise.
std::optional<at::Tensor> solve_unipc(const Problem& problem, at::Tensor x, const UnipcOptions& options = {});

}  // namespace switchyard::sampler

#include "metrics/inception_score.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

namespace switchyard::metrics {

InceptionScore inception_score(const at::Tensor& logits, int64_t splits) {
  if (logits.dim() != 2 || splits < 1 || logits.size(0) < splits)
    throw std::invalid_argument("inception score: expected logits [N, classes] with N of at least " +
                                std::to_string(splits) + " parts, got " + c10::str(logits.sizes()));
  std::vector<double> scores;
  for (int64_t part = 0; part < splits; ++part) {
    const int64_t begin = part * logits.size(0) / splits, end = (part + 1) * logits.size(0) / splits;
    const auto log_p = at::log_softmax(logits.narrow(0, begin, end - begin).to(at::kDouble), 1);
    const auto p = log_p.exp();
    const auto divergence = (p * (log_p - p.mean(0).log())).sum(1).mean().item<double>();
    scores.push_back(std::exp(divergence));
  }
  return spread_of(scores);
}

}  // namespace switchyard::metrics

#include "metrics/class_agreement.h"

#include <ATen/ATen.h>

#include <cmath>
#include <stdexcept>

namespace switchyard::metrics {
namespace {

template <class... Parts>
void require(bool holds, const Parts&... problem) {
  if (!holds) throw std::invalid_argument(c10::str("class agreement: ", problem...));
}

void require_labelled(const at::Tensor& features, const at::Tensor& labels) {
  require(features.dim() == 2 && features.scalar_type() == at::kFloat && features.size(0) > 0,
          "expected features fp32 [N, D] with N > 0, got ", features.scalar_type(), " ", features.sizes());
  require(labels.dim() == 1 && labels.scalar_type() == at::kLong && labels.size(0) == features.size(0),
          "expected a label int64 for each of ", features.size(0), " images, got ", labels.scalar_type(), " ",
          labels.sizes());
}

// The largest eigenvalue of x^T x / N, by the power method; its few percent too little are made up for.
double largest_curvature(const at::Tensor& x) {
  auto v = at::ones({x.size(1)}) / std::sqrt(static_cast<double>(x.size(1)));
  double value = 0;
  for (int i = 0; i < 20; ++i) {
    v = at::mv(x.t(), at::mv(x, v)) / x.size(0);
    value = v.norm().item<double>();
    if (value == 0) return 0;
    v = v / value;
  }
  return 1.1 * value;
}

}  // namespace

LinearClassifier::LinearClassifier(const at::Tensor& features, const at::Tensor& labels, int64_t classes,
                                   const ClassifierOptions& options) {
  require_labelled(features, labels);
  require(labels.min().item<int64_t>() >= 0 && labels.max().item<int64_t>() < classes,
          "expected labels from 0 to ", classes - 1, ", got ", labels.min().item<int64_t>(), " to ",
          labels.max().item<int64_t>());
  mean_ = features.mean(0);
  deviation_ =
      features.std(0, /*unbiased=*/false).clamp_min(1e-6);  // a feature that never changes says nothing
  const auto x = scaled(features);
  const auto wanted = at::one_hot(labels, classes).to(at::kFloat);
  // The softmax has a curvature of at most 1/2; the column of ones for the bias adds at most 1 to that of x.
  const double curvature = (largest_curvature(x) + 1) / 2 + options.penalty;

  weight_ = at::zeros({x.size(1), classes});
  bias_ = at::zeros({classes});
  auto ahead_weight = weight_, ahead_bias = bias_;
  for (int64_t step = 1; step <= options.steps; ++step) {
    const auto error =
        (at::softmax(at::addmm(ahead_bias, x, ahead_weight), 1) - wanted) / x.size(0);  // [N, classes]
    const auto weight = ahead_weight - (at::mm(x.t(), error) + options.penalty * ahead_weight) / curvature;
    const auto bias = ahead_bias - error.sum(0) / curvature;
    const double momentum = static_cast<double>(step - 1) / static_cast<double>(step + 2);
    ahead_weight = weight + momentum * (weight - weight_);
    ahead_bias = bias + momentum * (bias - bias_);
    weight_ = weight;
    bias_ = bias;
  }
}

at::Tensor LinearClassifier::scaled(const at::Tensor& features) const {
  require(features.dim() == 2 && features.size(1) == mean_.size(0), "expected features [N, ", mean_.size(0),
          "], got ", features.sizes());
  return (features - mean_) / deviation_;
}

at::Tensor LinearClassifier::predicted(const at::Tensor& features) const {
  return at::addmm(bias_, scaled(features), weight_).argmax(1);
}

double LinearClassifier::agreement(const at::Tensor& features, const at::Tensor& labels) const {
  require_labelled(features, labels);
  return predicted(features).eq(labels).to(at::kDouble).mean().item<double>();
}

}  // namespace switchyard::metrics

// Class agreement: does a picture show the class that it was drawn for? A linear classifier on a network's features,
// trained on real images, answers; its accuracy on held-out real images stands beside the answer, as what a perfect set
// would get.
//
// Multinomial logistic regression on features scaled to mean 0 and deviation 1, with a quadratic penalty:
//
//   min  mean_i -log softmax(W x_i + b)[y_i] + penalty / 2 |W|^2
//
// by Nesterov's accelerated gradient over all images at once: no random numbers, so that the same images give the same
// classifier.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace switchyard::metrics {

struct ClassifierOptions {
  double penalty = 1e-2;
  int64_t steps = 300;
};

class LinearClassifier {
 public:
  /// features [N, D] fp32, labels [N] int64 from 0 to classes - 1, on the CPU. Throws std::invalid_argument for other
  /// shapes and dtypes, for labels out of range, and without images.
  LinearClassifier(const at::Tensor& features, const at::Tensor& labels, int64_t classes,
                   const ClassifierOptions& options = {});

  at::Tensor predicted(const at::Tensor& features) const;  // [N] int64

  /// The share of images whose predicted class is their label; 0 to 1. Throws std::invalid_argument as above; labels
  /// that were not trained on count as wrong.
  double agreement(const at::Tensor& features, const at::Tensor& labels) const;

  int64_t classes() const { return weight_.size(1); }

 private:
  at::Tensor scaled(const at::Tensor& features) const;

  at::Tensor mean_, deviation_;  // [D]
  at::Tensor weight_, bias_;     // [D, classes], [classes]
};

}  // namespace switchyard::metrics

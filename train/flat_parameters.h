// A model's parameters as one flat buffer, so that the optimiser, the average and the checkpoint are single
// tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "dit/transformer.h"

namespace switchyard::train {

class FlatParameters {
 public:
  /// Moves every parameter of `model` into a new flat buffer of its dtype; afterwards the model's tensors are
  /// views of it. With `requires_grad` each of them is a leaf of the gradient graph. The model must outlive
  /// this object's users.
  FlatParameters(dit::DiffusionTransformer& model, bool requires_grad);

  const at::Tensor& flat() const { return flat_; }  // [size], padded so that each view is 64-byte aligned
  const std::vector<at::Tensor>& views() const { return views_; }

  /// Adds one gradient per view to `sum` [size] (fp32), or sets it where `accumulate` is false.
  void gather_gradients(const std::vector<at::Tensor>& gradients, bool accumulate, at::Tensor& sum) const;

 private:
  at::Tensor flat_;
  std::vector<at::Tensor> views_;
  std::vector<int64_t> offsets_;
};

}  // namespace switchyard::train

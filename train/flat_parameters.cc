#include "train/flat_parameters.h"

#include <ATen/ATen.h>

namespace switchyard::train {

FlatParameters::FlatParameters(dit::DiffusionTransformer& model, bool requires_grad) {
  const at::NoGradGuard no_grad;
  constexpr int64_t kAlignment = 32;  // elements: 64 bytes of bf16
  const auto parameters = model.parameters();
  int64_t size = 0;
  for (const auto& [name, tensor] : parameters) {
    offsets_.push_back(size);
    size += (tensor->numel() + kAlignment - 1) / kAlignment * kAlignment;
  }
  flat_ = at::zeros({size}, parameters.front().tensor->options());
  for (size_t i = 0; i < parameters.size(); ++i) {
    auto& tensor = *parameters[i].tensor;
    auto view = flat_.narrow(0, offsets_[i], tensor.numel()).view(tensor.sizes());
    view.copy_(tensor);
    tensor = view.detach().set_requires_grad(requires_grad);
    views_.push_back(tensor);
  }
}

void FlatParameters::gather_gradients(const std::vector<at::Tensor>& gradients, bool accumulate,
                                      at::Tensor& sum) const {
  std::vector<at::Tensor> targets;
  for (size_t i = 0; i < views_.size(); ++i)
    targets.push_back(sum.narrow(0, offsets_[i], views_[i].numel()).view(views_[i].sizes()));
  accumulate ? at::_foreach_add_(targets, gradients) : at::_foreach_copy_(targets, gradients);
}

}  // namespace switchyard::train

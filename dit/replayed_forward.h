// The model's forward on a GPU as one launch: recorded once per number of images and kind of watching, then
// replayed (a CUDA graph).
//
// It gives what forward() gives, bit for bit, and is forward() itself wherever a recording is impossible: on
// the CPU, in a build without libtorch's CUDA libraries, for models that wait for the GPU (token experts in
// fp32), and for models with integer_timesteps(). Those choose matrices by the timestep on the host: each of
// their timesteps would need a recording of its own, used once per image.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <tuple>

#include "dit/transformer.h"

namespace switchyard::dit {

class ReplayedForward {
 public:
  /// The model must outlive it, stay packed as it is, and not be trained meanwhile.
  explicit ReplayedForward(const DiffusionTransformer& model) : model_(&model) {}

  /// As DiffusionTransformer::forward, without gradient. The first call with so many images, k and the same
  /// tensors of control and tape defined takes four times as long and waits for the GPU; later ones copy
  /// control and tape to and from the recording's own, and stay one launch.
  at::Tensor operator()(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                        const RoutingControl& control = {}, const RoutingTape& tape = {}, const Stop& stop = {});

  /// Whether calls with so many images have been recorded.
  bool replays(int64_t images) const;

 private:
  struct Recording;
  // Images, experts per token, and which tensors of control and tape are defined, as bits.
  using Key = std::tuple<int64_t, int64_t, unsigned>;

  const DiffusionTransformer* model_;
  std::map<Key, std::shared_ptr<Recording>> recordings_;  // null: tried in vain
};

}  // namespace switchyard::dit

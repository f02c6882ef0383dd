// The diffusion transformer: patches in, prediction out, with experts that each token picks for itself.
//
// DiT-MoE (Fei et al. 2024, "Scaling Diffusion Transformers to 16 Billion Parameters"): DiT blocks (Peebles
// and Xie 2023) with adaLN conditioning whose feed-forward is a set of routed SwiGLU experts beside a shared
// one.
//
// The parameters are plain tensors. The experts of a block are stored stacked, [E, ...]; state_dict() shows
// them under the official checkpoint's names, one view per expert.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "dit/config.h"
#include "kernels/experts.h"
#include "kernels/linear.h"
#include "kernels/routing.h"

namespace switchyard::dit {

struct Linear {
  at::Tensor weight, bias;       // [out, in], [out] or undefined
  kernels::PackedLinear packed;  // defined after pack()
};

struct Attention {
  Linear qkv, proj;
  at::Tensor q_norm_weight, q_norm_bias, k_norm_weight, k_norm_bias;  // [head_size], only with qk_norm
};

struct MoeFeedForward {
  Linear gate;                             // [E, D], no bias
  at::Tensor gate_up, down;                // [E, 2H, D], [E, D, H]
  at::Tensor shared_gate_up, shared_down;  // [2S, D], [D, S]
  kernels::PackedExperts packed;           // defined after pack()
  kernels::PackedSwiGlu packed_shared;
};

struct Block {
  Linear adaln;  // [6D, D]: shift, scale, gate of the attention; shift, scale, gate of the feed-forward
  Attention attention;
  MoeFeedForward feed_forward;
};

/// Called once per block during forward with the block's index and the routing of all N * T tokens, image by
/// image. An empty observer costs nothing.
using RoutingObserver = std::function<void(int64_t layer, const kernels::Routing& routing)>;

/// One stored tensor: its name and a place that can be rebound (to a view of a flat buffer, say).
struct Parameter {
  std::string name;
  at::Tensor* tensor;
};

class DiffusionTransformer {
 public:
  /// Allocates every parameter, uninitialised: load a checkpoint or call initialize() next.
  explicit DiffusionTransformer(ModelConfig config, at::TensorOptions options = {});

  // parameters() hands out places inside this object, and packed weights are shared: it stays where it is.
  DiffusionTransformer(const DiffusionTransformer&) = delete;
  DiffusionTransformer& operator=(const DiffusionTransformer&) = delete;
  DiffusionTransformer(DiffusionTransformer&&) = default;

  const ModelConfig& config() const { return config_; }

  /// x [N, C, H, W], t [N] in [0, 1] for rectified flow, y [N] int64 labels 0 .. num_classes (the last: no
  /// class)
  /// -> [N, out_channels, H, W] fp32. Computes in the dtype of the parameters.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     const RoutingObserver& observe = {}) const;

  /// Brings the weights into their fast form for inference. Call again after changing a parameter.
  void pack();

  /// What training moves, in a fixed order.
  std::vector<Parameter> parameters();

  /// Every tensor of the official checkpoint by its name, as a view: writing into it changes the model.
  std::map<std::string, at::Tensor> state_dict();

 private:
  at::Tensor attend(const Attention& attention, const at::Tensor& x) const;
  at::Tensor feed_forward(const MoeFeedForward& moe, const at::Tensor& x, int64_t layer,
                          const RoutingObserver& observe) const;

  ModelConfig config_;
  at::Tensor pos_embed_;  // [1, T, D], fixed
  Linear x_embedder_;     // [D, C, p, p] as in the official convolution
  Linear t_mlp_in_, t_mlp_out_;
  at::Tensor label_table_;  // [num_classes + 1, D]
  std::vector<Block> blocks_;
  Linear final_adaln_, final_linear_;
};

/// The published initialisation, from one seed: Xavier-uniform linear layers, zero adaLN and output layers
/// (so that each block begins as the identity), N(0, 0.02) label and timestep embeddings, U(-1/sqrt(D),
/// 1/sqrt(D)) router.
void initialize(DiffusionTransformer& model, uint64_t seed);

}  // namespace switchyard::dit

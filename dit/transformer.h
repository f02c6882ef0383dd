// The diffusion transformer: patches in, prediction out. DiT, DTR, Switch-DiT, DiT-MoE and their
// combinations.
//
// DiT blocks with adaLN conditioning (Peebles and Xie 2023), assembled per configuration from a feed-forward
// (dense, or experts that each token picks) and a block router (none, or a mask by timestep of what the block
// works on); see dit/parts.h.
//
// The parameters are plain tensors. state_dict() shows them under the official checkpoints' names.
#pragma once

#include <ATen/core/Tensor.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "dit/config.h"
#include "dit/parts.h"
#include "dit/routing_control.h"
#include "dit/routing_tape.h"

namespace switchyard::dit {

/// What a timestep and a class become before they are added.
struct Embedder {
  Linear t_in, t_out;
  at::Tensor labels;  // [labels(), D]
};

struct Attention {
  Linear qkv, proj;
  at::Tensor q_norm_weight, q_norm_bias, k_norm_weight, k_norm_bias;  // [head_size], only with qk_norm
};

struct Block {
  Linear adaln;  // [6D, D]: shift, scale, gate of the attention; shift, scale, gate of the feed-forward
  Attention attention;
  std::unique_ptr<FeedForward> feed_forward;
  std::unique_ptr<BlockRouter> router;  // or none
};

/// All that forward() takes from N pairs of a time and a class: it does not depend on the image. In the dtype
/// and on the device of the parameters.
struct Condition {
  TimestepInput time;
  std::vector<at::Tensor> blocks;  // per block [N, 6D]: what its adaLN makes of the pair
  at::Tensor last;                 // [N, 2D]: of the output layer

  int64_t size() const { return last.size(0); }
  Condition narrow(int64_t first, int64_t count) const;
  Condition select(const std::vector<int64_t>& rows) const;  // any rows, in any order
};

/// Looked at before every block: true ends the forward with Stopped.
using Stop = std::function<bool()>;

struct Stopped : std::exception {
  const char* what() const noexcept override { return "the forward was stopped"; }
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
  at::Device device() const { return embedders_[0].labels.device(); }
  at::ScalarType dtype() const { return embedders_[0].labels.scalar_type(); }  // of the parameters

  /// x [N, C, H, W], t [N] of any number type, y [N] int64 labels 0 .. labels() - 1
  /// -> [N, out_channels, H, W] fp32. Computes in the dtype of the parameters.
  /// t lies in [0, 1] for rectified flow and gvp (1: noise, also of models that are told 1 - t) and in 0 .. num_timesteps - 1 otherwise, fractions included; models
  /// with integer_timesteps() take integers alone and throw std::invalid_argument for anything else.
  /// y is on the model's device; t may be on the CPU whatever that is. Models with integer_timesteps() look
  /// at t on the host: they wait for a GPU when it lies there.
  /// `control` and `tape` are for these N images; see their headers. Neither is free to change a pixel that it
  /// does not speak of: an empty control and any tape give the bits of a forward without them.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                     const RoutingControl& control = {}, const RoutingTape& tape = {},
                     const Stop& stop = {}) const;

  /// The same in two parts, of which the first can be had once for many images and steps. They throw
  /// c10::Error for shapes that do not go together.
  Condition condition(const at::Tensor& t, const at::Tensor& y) const;
  at::Tensor forward(const at::Tensor& x, const Condition& condition, const RoutingControl& control = {},
                     const RoutingTape& tape = {}, const Stop& stop = {}) const;

  /// For an answer that is not finite: the block after which an image's tokens were not finite first, depth()
  /// of the output layer, -1 of the patch embedding; nothing where every number is finite.
  std::vector<std::optional<int64_t>> first_not_finite(const at::Tensor& x, const Condition& condition,
                                                       const RoutingControl& control = {}) const;

  /// What the block routers choose at each of the num_timesteps timesteps, one entry per block; empty for
  /// models that do not route timesteps. Probabilities [num_timesteps, timestep_experts] fp32.
  std::vector<kernels::Routing> timestep_routing() const;

  /// Brings the weights into their fast form for inference and gives up the plain form of what was packed, layer
  /// by layer, so that there are never two of a model: its parameters then have shapes alone (device Meta).
  /// packing.products is for the layers that every token passes through: qkv, attention output, feed-forward and
  /// its experts. Throws std::invalid_argument where int8, or oneDNN, is not to be had.
  void pack(kernels::Packing packing = {});

  bool packed() const { return x_embedder_.packed.defined(); }

  /// What pack() was last told.
  kernels::Packing packing() const { return packing_; }

  /// What training moves, in a fixed order.
  std::vector<Parameter> parameters();

  /// Beside them, what no gradient moves (fp32): what balances the load of routers that keep a bias for it.
  std::vector<Parameter> buffers();

  /// After a training step: choices[block] [E], how many tokens chose each expert of the block.
  void balance(const std::vector<at::Tensor>& choices);

  /// Every tensor that a checkpoint has to hold, by its official name, as a view: writing into it changes the
  /// model.
  StateDict state_dict();

  /// Tensors that official checkpoints hold beside them and that the configuration determines: masks of DTR,
  /// prior and list of timesteps of Switch-DiT.
  StateDict derived_state() const;

 private:
  friend void initialize(DiffusionTransformer& model, uint64_t seed);

  template <class OnTensor, class OnPart>
  void visit(OnTensor on_tensor, OnPart on_part);
  at::Tensor embed_timesteps(const Embedder& embedder, const at::Tensor& t) const;
  at::Tensor attend(const Attention& attention, const at::Tensor& x) const;
  at::Tensor embed(const at::Tensor& x, const Condition& condition) const;
  at::Tensor run_block(const at::Tensor& x, const Condition& condition, int64_t layer,
                       const RoutingControl& control, const RoutingTape& tape) const;
  at::Tensor through(const Block& block, const at::Tensor& x, const at::Tensor& modulation, int64_t layer,
                     const RoutingControl& control, const RoutingTape& tape) const;
  at::Tensor output(const at::Tensor& tokens, const Condition& condition) const;

  ModelConfig config_;
  kernels::Packing packing_;
  at::Tensor pos_embed_;  // [1, T, D], fixed
  Linear x_embedder_;     // [D, C, p, p] as in the official convolution
  std::vector<Embedder> embedders_;  // one for all, or one per block
  std::vector<Block> blocks_;
  Linear final_adaln_, final_linear_;
};

/// The published initialisation, from one seed: Xavier-uniform linear layers, zero adaLN and output layers
/// (so that each block begins as the identity), N(0, 0.02) label and timestep embeddings, U(-1/sqrt(D),
/// 1/sqrt(D)) token router, zero timestep experts (so that all of the input goes through the block).
void initialize(DiffusionTransformer& model, uint64_t seed);

}  // namespace switchyard::dit

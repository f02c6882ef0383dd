// The parts that a block of the transformer is assembled from: linear layers, feed-forwards, block routers.
//
// A feed-forward or a block router is one file that implements the class below and one line in the table
// (feed_forwards() in feed_forward.cc, block_routers() in block_router.cc). The table says what a part can do.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dit/config.h"
#include "dit/routing_control.h"
#include "dit/routing_tape.h"
#include "kernels/linear/linear.h"

namespace switchyard::dit {

struct Linear {
  at::Tensor weight, bias;       // [out, in...], [out] or undefined
  kernels::PackedLinear packed;  // defined after pack()

  Linear() = default;
  Linear(int64_t out, int64_t in, const at::TensorOptions& options);

  at::Tensor operator()(const at::Tensor& x) const;
  /// Brings the weight into its fast form and gives up the plain one, which keeps its shape alone.
  void pack(kernels::Packing packing = {});
};

/// Without its numbers: shape and dtype of a weight that has been packed (device Meta).
void give_up(at::Tensor& weight);

void xavier_uniform(at::Tensor matrix, const at::Generator& generator);  // [out, in...], in place

/// One stored tensor: its name and a place that can be rebound (to a view of a flat buffer, say).
struct Parameter {
  std::string name;
  at::Tensor* tensor;
};

using StateDict = std::map<std::string, at::Tensor>;

class Part {
 public:
  virtual ~Part() = default;

  /// What training moves, in a fixed order; every name begins with `prefix`.
  virtual std::vector<Parameter> parameters(const std::string& prefix) = 0;

  /// Adds every tensor of the official checkpoint by its name, as a view of a parameter; by default these are
  /// the parameters themselves.
  virtual void add_state(const std::string& prefix, StateDict& state);

  /// Adds tensors that the official checkpoint holds although the configuration determines them.
  virtual void add_derived_state(const std::string& prefix, StateDict& state) const;

  /// State that belongs into a checkpoint and that no gradient moves; fp32 whatever the model computes in.
  virtual std::vector<Parameter> buffers(const std::string&) { return {}; }

  /// The published initialisation of all that it holds, drawn from `generator` (of the CPU, in fp32).
  virtual void initialize(const at::Generator& generator) = 0;
};

/// A parameter's numbers, drawn on the CPU in fp32: fill(value) in place.
template <class Fill>
void initialize_with(at::Tensor& parameter, Fill fill) {
  auto value = at::empty_like(parameter, parameter.options().device(at::kCPU).dtype(at::kFloat));
  fill(value);
  parameter.copy_(value);
}

class FeedForward : public Part {
 public:
  /// x [N, T, D] -> [N, T, D]. Control and tape are those of the whole model.
  virtual at::Tensor operator()(const at::Tensor& x, int64_t layer, const RoutingControl& control,
                                const RoutingTape& tape) const = 0;

  /// Brings the weights into their fast form and gives up the plain ones.
  virtual void pack(kernels::Packing packing) = 0;

  /// After a training step: moves what balances the load without a gradient. choices [E]: how many tokens chose
  /// each expert in this step.
  virtual void balance(const at::Tensor& /*choices*/) {}
};

struct TimestepInput {
  std::vector<int64_t> values;  // [N], in 0 .. num_timesteps - 1
  at::Tensor index;             // the same, int64 on the model's device
  at::Tensor embedding;         // [N, D] what the timestep embedding makes of it
};

class BlockRouter : public Part {
 public:
  /// The mask m of x [N, T, D]: [N, T, D] or [N, 1, D]. The block works on x * m; x * (1 - m) goes around it.
  virtual at::Tensor mask(const at::Tensor& x, const TimestepInput& time, int64_t layer,
                          const RoutingControl& control, const RoutingTape& tape) const = 0;

  /// embeddings [num_timesteps, D] fp32: of every timestep.
  virtual void pack(const at::Tensor& embeddings) = 0;

  /// The choice of every timestep, one per row of `embeddings` [M, D] fp32; nothing where none is learned.
  virtual std::optional<kernels::Routing> route(const at::Tensor& embeddings) const = 0;
};

template <class Made>
struct PartKind {
  std::string_view name;                 // as in the configuration
  std::string_view family;               // its share of the family's name
  void (*validate)(const ModelConfig&);  // throws std::invalid_argument naming the field
  ParameterCount (*count)(const ModelConfig&, int64_t block);
  std::unique_ptr<Made> (*make)(const ModelConfig&, int64_t block, const at::TensorOptions&);  // nullptr: none

  bool routes_tokens = false;      // tokens pick experts: it reads RoutingControl::tokens, writes the tape's
  bool routes_timesteps = false;   // timesteps do
  bool integer_timesteps = false;  // it knows no timesteps between the whole ones
  int64_t (*derived)(const ModelConfig&) = nullptr;  // how many numbers its derived state holds; null: none
};

std::span<const PartKind<FeedForward>> feed_forwards();
std::span<const PartKind<BlockRouter>> block_routers();

/// The entry of that name, or nullptr.
template <class Kind>
const Kind* find_part(std::span<const Kind> kinds, std::string_view name) {
  for (const auto& kind : kinds)
    if (kind.name == name) return &kind;
  return nullptr;
}

/// Throws std::invalid_argument ("model configuration: ...") unless the condition holds.
void require(bool condition, const std::string& message);

/// A size that must lie in least .. most.
void require_size(const char* field, int64_t value, int64_t least, int64_t most);

}  // namespace switchyard::dit

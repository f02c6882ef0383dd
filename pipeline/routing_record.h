// The routing of a whole request as tensors: which experts each token, or each timestep, chose, at each step,
// in each layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "dit/config.h"
#include "pipeline/events.h"
#include "pipeline/request.h"

namespace switchyard::pipeline {

/// Filled while a session draws:
///   RoutingRecord record(session.config(), request);
///   observer.routing = record.recorder();
///   session.draw(request, observer);
/// Of solvers that evaluate the model twice in a step, the first evaluation is kept: the one at times[step].
/// Takes 3 bytes per choice (4 above 255 experts): images * steps * layers * 2 * T * k * 3; one image of the
/// embedded model takes 0.5 MB at 25 steps, of DiT-MoE S/2 at 256x256 2 MB at 50 steps. Probabilities, where they are
/// to be kept, take 2 bytes for each expert of each token. Allocated at once; the constructor throws
/// std::invalid_argument, with the number, where that is more than 4 GiB.
class RoutingRecord {
 public:
  /// Of one kind of router, which the model must have: else std::invalid_argument. `keep_probabilities` needs
  /// Observer::probabilities.
  RoutingRecord(const dit::ModelConfig& config, const Request& request, Router router,
                bool keep_probabilities = false);

  /// Of the tokens' router where the model has one, else of the timesteps'.
  RoutingRecord(const dit::ModelConfig& config, const Request& request);

  /// Writes one event down, if it is of this record's router and of the first evaluation in its step.
  void add(const StepRouting& routing);

  /// add() for Observer::routing. Refers to this record, which has to outlive the drawing. Always answers "go on".
  std::function<bool(const StepRouting&)> recorder();

  const dit::ModelConfig& config() const { return config_; }
  Router router() const { return router_; }
  int64_t num_experts() const;  // per layer, the most of any
  int64_t images() const { return experts.size(0); }
  int64_t steps() const { return experts.size(1); }
  int64_t layers() const { return experts.size(2); }
  int64_t no_expert() const { return num_experts() < 256 ? 255 : -1; }  // in `experts`

  // Halves: 0 with the class, 1 without (the unconditional half of guidance). Choices: the strongest first, k of
  // them; of routers that give tokens any number of experts (expert choice), room for all.
  at::Tensor experts;  // [images, steps, layers, 2, T, k] (T is 1 for timesteps) uint8, 255 where there is
                       // none or it was not evaluated; int16 and -1 above 255 experts
  at::Tensor gate_weights;  // the same shape, fp16; 0 where there is no expert
  at::Tensor evaluated;     // [images, steps, 2] bool: false where guidance was off, or cancelled before
  at::Tensor times;   // [steps] fp64: where each step begins, 1 (noise) falling towards 0: t of a rectified
                      // flow, in general sampler::Schedule::noise_fraction
  at::Tensor labels;  // [images] int64
  at::Tensor seeds;   // [images] int64

  // [images, steps, layers, 2, T, E] fp16: what the router thought, 0 where it was not evaluated; undefined unless
  // it is kept.
  at::Tensor probabilities;

 private:
  dit::ModelConfig config_;
  Router router_;
};

/// A record of each router that the model has, the tokens' first; throws as the constructor does. None for a model
/// without experts.
std::vector<RoutingRecord> routing_records(const dit::ModelConfig& config, const Request& request,
                                           bool keep_probabilities = false);

/// Writes the first six tensors above (not the probabilities) under those names as a NumPy archive, with
/// "num_experts" ([] int64) beside them. Tokens are the patches in row-major order. Of a model with both routers,
/// `timesteps` is the record of the second one: "timestep_experts", "timestep_gate_weights", "num_timestep_experts".
/// Throws io::OutputError.
void save_routing(const std::filesystem::path& path, const RoutingRecord& record,
                  const RoutingRecord* timesteps = nullptr);

}  // namespace switchyard::pipeline

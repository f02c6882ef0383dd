// The routing of a whole request as tensors: which experts each token chose, at each step, in each layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>

#include "dit/config.h"
#include "pipeline/generate.h"

namespace switchyard::pipeline {

/// Filled while generate() runs:
///   RoutingRecord record(model.config(), request);
///   observer.routing = record.recorder();
///   generate(model, request, observer);
/// Of solvers that evaluate the model twice in a step, the first evaluation is kept: the one at times[step].
/// Takes 3 bytes per choice (4 above 255 experts): images * steps * layers * 2 * T * k * 3; one image of the
/// embedded model takes 0.1 MB at 25 steps, of DiT-MoE S/2 at 256x256 2 MB at 50 steps. Allocated at once;
/// the constructor throws std::invalid_argument, with the number, where that is more than 4 GiB.
class RoutingRecord {
 public:
  RoutingRecord(const dit::ModelConfig& config, const Request& request);

  /// For Observer::routing. Refers to this record, which has to outlive the call of generate(). Always
  /// answers "go on".
  std::function<bool(const LayerRouting&)> recorder();

  const dit::ModelConfig& config() const { return config_; }
  int64_t images() const { return experts.size(0); }
  int64_t steps() const { return experts.size(1); }
  int64_t layers() const { return experts.size(2); }

  // Halves: 0 with the class, 1 without (the unconditional half of guidance). Choices: k of them, the
  // strongest first.
  at::Tensor experts;  // [images, steps, layers, 2, T, k] uint8, 255 where not evaluated; int16 and -1 above
                       // 255 experts
  at::Tensor gate_weights;  // the same shape, fp16; 0 where not evaluated
  at::Tensor evaluated;     // [images, steps, 2] bool: false where guidance was off, or cancelled before
  at::Tensor times;   // [steps] fp64: where each step begins, 1 (noise) falling towards 0: t of a rectified
                      // flow, in general sampler::Schedule::noise_fraction
  at::Tensor labels;  // [images] int64
  at::Tensor seeds;   // [images] int64

 private:
  dit::ModelConfig config_;
};

/// Writes the six tensors above under those names as a NumPy archive, with "num_experts" ([] int64) beside
/// them. Tokens are the patches in row-major order. Throws io::OutputError.
void save_routing(const std::filesystem::path& path, const RoutingRecord& record);

}  // namespace switchyard::pipeline

// A model as one batch of images asks it, step after step: its rows spread over the cores of a CPU, with
// everything that depends on time and class alone prepared; replayed as one launch on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "dit/condition_table.h"
#include "dit/replayed_forward.h"
#include "dit/transformer.h"
#include "pipeline/generate.h"

namespace switchyard::pipeline {

/// What a model is told of a solver's time: those that route by the timestep know whole ones.
double told(const dit::ModelConfig& config, double t);

class BatchModel {
 public:
  /// Per Router, per layer: what it chose for all rows, without the probabilities.
  using Routing = std::array<std::vector<kernels::Routing>, 2>;

  struct Answer {
    at::Tensor output;  // [rows, out_channels, H, W] fp32
    Routing routing;    // empty unless asked for
  };

  /// `times` are those at which a solver will ask, `labels` the images'. Others are computed when asked for.
  /// Both models must outlive it.
  BatchModel(const dit::DiffusionTransformer& model, dit::ReplayedForward& replayed,
             const std::vector<double>& times, const std::vector<int64_t>& labels, bool with_null_class);

  /// z: a row for each image, with its class; or twice as many, the second half without. t as the solver has
  /// it.
  Answer operator()(const at::Tensor& z, double t, bool with_routing) const;

 private:
  Answer on_cores(const at::Tensor& z, double t, bool with_routing) const;

  const dit::DiffusionTransformer& model_;
  dit::ReplayedForward& replayed_;
  std::vector<int64_t> labels_;  // of the images, then as many null classes
  at::Tensor labels_there_;      // the same on the model's device: a copy at each step would wait for a GPU
  dit::ConditionTable conditions_;
};

}  // namespace switchyard::pipeline

// A model as one batch of images asks it, step after step: its rows spread over the cores of a CPU, with
// everything that depends on time and class alone prepared; replayed as one launch on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dit/condition_table.h"
#include "dit/replayed_forward.h"
#include "dit/transformer.h"

namespace switchyard::pipeline {

/// What a model is told of a solver's time: those that route by the timestep know whole ones.
double told(const dit::ModelConfig& config, double t);

class BatchModel {
 public:
  /// `times` are those at which a solver will ask, `labels` the images'. Others are computed when asked for.
  /// Both models must outlive it.
  BatchModel(const dit::DiffusionTransformer& model, dit::ReplayedForward& replayed,
             const std::vector<double>& times, const std::vector<int64_t>& labels, bool with_null_class);

  /// z: a row for each image, with its class; or twice as many, the second half without. t as the solver has
  /// it. Control and tape for these rows; see DiffusionTransformer::forward. -> [rows, out_channels, H, W] fp32.
  at::Tensor operator()(const at::Tensor& z, double t, const dit::RoutingControl& control,
                        const dit::RoutingTape& tape, const dit::Stop& stop) const;

  /// As which times and classes the model sees the rows of such a call.
  dit::Condition condition(int64_t rows, double t) const;

 private:
  const dit::DiffusionTransformer& model_;
  dit::ReplayedForward& replayed_;
  std::vector<int64_t> labels_;  // of the images, then as many null classes
  at::Tensor labels_there_;      // the same on the model's device: a copy at each step would wait for a GPU
  dit::ConditionTable conditions_;
};

}  // namespace switchyard::pipeline

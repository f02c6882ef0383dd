#include "pipeline/batch_model.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "kernels/side_by_side.h"

namespace switchyard::pipeline {
namespace {

std::vector<int64_t> table_labels(std::vector<int64_t> labels, bool with_null_class, int64_t null_class) {
  if (with_null_class) labels.push_back(null_class);
  return labels;
}

}  // namespace

double told(const dit::ModelConfig& config, double t) {
  return config.integer_timesteps() ? std::nearbyint(t) : t;
}

BatchModel::BatchModel(const dit::DiffusionTransformer& model, dit::ReplayedForward& replayed,
                       const std::vector<double>& times, const std::vector<int64_t>& labels,
                       bool with_null_class)
    : model_(model),
      replayed_(replayed),
      labels_(labels),
      conditions_(model, times, table_labels(labels, with_null_class, model.config().null_class())) {
  if (with_null_class) labels_.resize(2 * labels.size(), model.config().null_class());
  labels_there_ = at::tensor(labels_, at::kLong).to(model.device());
}

dit::Condition BatchModel::condition(int64_t rows, double t) const {
  return conditions_.at(told(model_.config(), t), {labels_.begin(), labels_.begin() + rows});
}

at::Tensor BatchModel::operator()(const at::Tensor& z, double t, const dit::RoutingControl& control,
                                  const dit::RoutingTape& tape, const dit::Stop& stop) const {
  const int64_t rows = z.size(0);
  if (z.device().is_cuda()) {
    // Times on the host where the model looks at them there: it need not wait for a GPU.
    const bool on_host = model_.config().integer_timesteps();
    const auto times = at::full({rows}, told(model_.config(), t),
                                at::device(on_host ? at::kCPU : z.device()).dtype(at::kFloat));
    return replayed_(z, times, labels_there_.narrow(0, 0, rows), control, tape, stop);
  }
  // The cores share the rows: an image is a function of its own row.
  const int64_t pieces = std::min<int64_t>(rows, at::get_num_threads());
  const auto conditions = condition(rows, t);
  std::vector<at::Tensor> outputs(pieces);
  kernels::side_by_side(pieces, [&](int64_t piece) {
    const int64_t first = rows * piece / pieces, count = rows * (piece + 1) / pieces - first;
    outputs[piece] = model_.forward(z.narrow(0, first, count), conditions.narrow(first, count),
                                    control.narrow(first, count), tape.narrow(first, count), stop);
  });
  return at::cat(outputs);
}

}  // namespace switchyard::pipeline

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

dit::RoutingObserver keep_in(BatchModel::Routing& routing) {
  const auto keep = [&](Router router) {
    return [&of_router = routing[static_cast<size_t>(router)]](int64_t, const kernels::Routing& chosen) {
      of_router.push_back(chosen);
    };
  };
  return dit::RoutingObserver(keep(Router::tokens), keep(Router::timesteps));
}

// The rows of all pieces, one after the other.
BatchModel::Routing joined(const std::vector<BatchModel::Routing>& pieces) {
  BatchModel::Routing all;
  for (size_t router = 0; router < all.size(); ++router) {
    for (size_t layer = 0; layer < pieces.front()[router].size(); ++layer) {
      std::vector<at::Tensor> experts, weights;
      for (const auto& piece : pieces) {
        experts.push_back(piece[router][layer].experts);
        weights.push_back(piece[router][layer].gate_weights);
      }
      all[router].push_back({{}, at::cat(experts), at::cat(weights)});
    }
  }
  return all;
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
  labels_.resize(2 * labels.size(), model.config().null_class());
  labels_there_ = at::tensor(labels_, at::kLong).to(model.device());
}

BatchModel::Answer BatchModel::operator()(const at::Tensor& z, double t, bool with_routing) const {
  const auto& c = model_.config();
  t = told(c, t);
  if (z.device().is_cuda() && !with_routing) {
    // Times on the host where the model looks at them there: it need not wait for a GPU.
    const auto times =
        at::full({z.size(0)}, t, at::device(c.integer_timesteps() ? at::kCPU : z.device()).dtype(at::kFloat));
    return {replayed_(z, times, labels_there_.narrow(0, 0, z.size(0))), {}};
  }
  return on_cores(z, t, with_routing);
}

// The cores share the rows: an image is a function of its own row. A GPU takes them all.
BatchModel::Answer BatchModel::on_cores(const at::Tensor& z, double t, bool with_routing) const {
  const int64_t rows = z.size(0);
  const int64_t pieces = z.device().is_cpu() ? std::min<int64_t>(rows, at::get_num_threads()) : 1;
  const auto condition = conditions_.at(t, {labels_.begin(), labels_.begin() + rows});
  std::vector<at::Tensor> outputs(pieces);
  std::vector<Routing> routings(pieces);
  kernels::side_by_side(pieces, [&](int64_t piece) {
    const int64_t first = rows * piece / pieces, last = rows * (piece + 1) / pieces;
    outputs[piece] = model_.forward(z.slice(0, first, last), condition.narrow(first, last - first),
                                    with_routing ? keep_in(routings[piece]) : dit::RoutingObserver());
  });
  return {at::cat(outputs), joined(routings)};
}

}  // namespace switchyard::pipeline

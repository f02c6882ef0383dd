#include "dit/condition_table.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace switchyard::dit {

ConditionTable::ConditionTable(const DiffusionTransformer& model, const std::vector<double>& times,
                               const std::vector<int64_t>& labels, int64_t limit)
    : model_(&model) {
  const at::NoGradGuard no_grad;
  for (const int64_t label : labels) label_row_.try_emplace(label, static_cast<int64_t>(label_row_.size()));
  const auto classes = static_cast<int64_t>(label_row_.size());
  for (const double t : times) time_row_.try_emplace(t, classes * static_cast<int64_t>(time_row_.size()));

  const auto& c = model.config();
  const int64_t numbers = (6 * c.depth + 3) * c.hidden_size;  // of a pair: adaLN and the time's embedding
  const int64_t pairs = classes * static_cast<int64_t>(time_row_.size());
  const int64_t bytes = numbers * static_cast<int64_t>(c10::elementSize(model.dtype()));
  if (pairs == 0 || pairs > limit / bytes) return;
  std::vector<double> pair_times(pairs);
  std::vector<int64_t> pair_labels(pairs);
  for (const auto& [t, first] : time_row_) {
    for (const auto& [label, row] : label_row_) {
      pair_times[first + row] = t;
      pair_labels[first + row] = label;
    }
  }
  stored_ = computed(pair_times, pair_labels);
}

Condition ConditionTable::at(double t, const std::vector<int64_t>& labels) const {
  const auto first = time_row_.find(t);
  std::vector<int64_t> rows;
  for (const int64_t label : labels) {
    const auto row = label_row_.find(label);
    if (!stored_ || first == time_row_.end() || row == label_row_.end())
      return computed(std::vector<double>(labels.size(), t), labels);
    rows.push_back(first->second + row->second);
  }
  return stored_->select(rows);
}

Condition ConditionTable::computed(const std::vector<double>& times,
                                   const std::vector<int64_t>& labels) const {
  return model_->condition(at::tensor(times, at::kFloat), at::tensor(labels, at::kLong).to(model_->device()));
}

}  // namespace switchyard::dit

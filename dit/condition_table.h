// What a model makes of every pair of a time and a class that a run will ask for, computed before the run:
// one product per layer for all pairs, where each step would read the same weights for a handful of rows.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "dit/transformer.h"

namespace switchyard::dit {

class ConditionTable {
 public:
  /// `times` as forward() takes them, `labels` with the null class where it is needed; repeated ones are
  /// stored once. A table of more than `limit` bytes is not made: at() then computes what it is asked for.
  /// The model must outlive it.
  ConditionTable(const DiffusionTransformer& model, const std::vector<double>& times,
                 const std::vector<int64_t>& labels, int64_t limit = int64_t{256} << 20);

  /// The condition of these images, all at time t. The same bits whether it is stored or not.
  Condition at(double t, const std::vector<int64_t>& labels) const;

  /// How many pairs are stored.
  int64_t size() const { return stored_ ? stored_->size() : 0; }

 private:
  Condition computed(const std::vector<double>& times, const std::vector<int64_t>& labels) const;

  const DiffusionTransformer* model_;
  std::map<double, int64_t> time_row_;    // first row of a time
  std::map<int64_t, int64_t> label_row_;  // row of a class, counted from there
  std::optional<Condition> stored_;
};

}  // namespace switchyard::dit

// The CSV that a training run leaves behind: one row per logged step, with losses, speed and each expert's
// load.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace switchyard::train {

struct LogRow {
  int64_t step = 0;          // steps finished
  int64_t images = 0;        // images seen
  double loss = 0;           // flow-matching loss, mean since the last row
  double balance = 0;        // E sum_e f_e P_e, mean over layers and since the last row
  double gradient_norm = 0;  // before clipping, mean since the last row
  double learning_rate = 0;
  double images_per_second = 0;
  at::Tensor expert_load;  // [layers, E] fp64: share of the layer's choices since the last row
};

class TrainingLog {
 public:
  /// Opens `path` to append after the last row that is not beyond `steps_done`: rows of work that a kill has
  /// undone are dropped. Throws io::OutputError.
  TrainingLog(std::filesystem::path path, int64_t steps_done, int64_t layers, int64_t experts);

  void append(const LogRow& row);

 private:
  std::filesystem::path path_;
};

}  // namespace switchyard::train

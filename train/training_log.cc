#include "train/training_log.h"

#include <ATen/ATen.h>

#include <fstream>
#include <sstream>

#include "io/atomic_file.h"
#include "io/error.h"

namespace switchyard::train {

TrainingLog::TrainingLog(std::filesystem::path path, int64_t steps_done, int64_t layers, int64_t experts)
    : path_(std::move(path)) {
  std::ostringstream kept;
  kept << "step,images,loss,balance,gradient_norm,learning_rate,images_per_second";
  for (int64_t layer = 0; layer < layers; ++layer) {
    for (int64_t e = 0; e < experts; ++e) kept << ",load_" << layer << '_' << e;
  }
  kept << '\n';
  std::ifstream old(path_);
  std::string line;
  std::getline(old, line);  // header
  while (std::getline(old, line)) {
    if (old.eof()) break;  // no newline: the row was cut off
    if (std::atoll(line.c_str()) <= steps_done && !line.empty()) kept << line << '\n';
  }
  old.close();
  io::write_file(path_, kept.str());
}

void TrainingLog::append(const LogRow& row) {
  std::ostringstream text;
  text.precision(9);
  text << row.step << ',' << row.images << ',' << row.loss << ',' << row.balance << ',' << row.gradient_norm
       << ',' << row.learning_rate << ',' << row.images_per_second;
  text.precision(4);
  const auto loads = row.expert_load.flatten();
  for (int64_t i = 0; i < loads.numel(); ++i) text << ',' << loads[i].item<double>();
  text << '\n';
  std::ofstream file(path_, std::ios::app);
  file << text.str() << std::flush;
  if (!file) throw io::OutputError("cannot append to " + path_.string());
}

}  // namespace switchyard::train

// What `switchyard sample` writes: images as they come, and pictures and numbers of all of them at the end.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <vector>

#include "app/cli/progress.h"
#include "app/cli/sample_options.h"
#include "pipeline/routing_record.h"
#include "pipeline/session.h"

namespace switchyard::app {

class SampleOutputs {
 public:
  /// Checks, before the long work, that all of it can be written and would overwrite nothing of this run, and
  /// makes the folder. Throws std::invalid_argument and io::OutputError.
  SampleOutputs(const SampleOptions& options, const pipeline::Session& session, const pipeline::Request& request);

  /// For Observer::routing; empty where nothing asks for it.
  std::function<bool(const pipeline::StepRouting&)> recorder();

  /// An image is done: its file is written at once.
  void add(const pipeline::ImageFinished& finished, pipeline::Session& session, Progress& progress);

  /// All are: the grid, the map and the routing.
  void finish(Progress& progress);

 private:
  void require_fitting_grid(int64_t image_side) const;
  void require_writable_outputs() const;
  std::filesystem::path file_of(const pipeline::Image& image) const;

  const SampleOptions& options_;
  const pipeline::Request& request_;
  dit::ModelConfig config_;
  int64_t columns_;
  std::vector<pipeline::RoutingRecord> records_;  // one of each kind of router, the tokens' first; or none
  std::vector<at::Tensor> kept_;                  // pixels, for the pictures that need all of them
};

}  // namespace switchyard::app

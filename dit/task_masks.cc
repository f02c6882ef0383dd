#include "dit/task_masks.h"

#include <ATen/ATen.h>

#include <cmath>

namespace switchyard::dit {

at::Tensor task_windows(int64_t timesteps, int64_t width, int64_t active, double alpha) {
  auto windows = at::zeros({timesteps, width});
  const double last = timesteps > 1 ? static_cast<double>(timesteps - 1) : 1.0;
  for (int64_t t = 0; t < timesteps; ++t) {
    const double first = static_cast<double>(width - active) * std::pow(static_cast<double>(t) / last, alpha);
    windows[t].narrow(0, std::llrint(first), active).fill_(1.0);
  }
  return windows;
}

int64_t task_window_size(double beta, int64_t width) {
  return static_cast<int64_t>(beta * static_cast<double>(width));
}

namespace {

// The number with the fewest decimals inside [low, high].
std::optional<double> roundest(double low, double high) {
  if (!(low <= high)) return std::nullopt;
  for (double unit = 1; unit <= 1e12; unit *= 10) {
    const double number = std::ceil(low * unit) / unit;
    if (number <= high) return number;
  }
  return low;
}

}  // namespace

std::optional<TaskWindows> fit_task_windows(const at::Tensor& windows) {
  const auto given = windows.to(at::kCPU, at::kFloat).contiguous();
  const int64_t timesteps = given.size(0), width = given.size(1);
  const int64_t active = std::llround(given[0].sum().item<double>());
  if (active < 1 || active > width || timesteps < 2) return std::nullopt;
  const auto starts = given.argmax(1);  // the first of equal values
  // (width - active) (t / last)^alpha lies within 0.5 of the start: an interval of alpha for each t in
  // between.
  double low = 1e-3, high = 100;
  for (int64_t t = 1; t + 1 < timesteps && active < width; ++t) {
    const double log_time = std::log(static_cast<double>(t) / static_cast<double>(timesteps - 1));
    const double start = static_cast<double>(starts[t].item<int64_t>()),
                 room = static_cast<double>(width - active);
    low = std::max(low, std::log((start + 0.5) / room) / log_time);
    if (start > 0) high = std::min(high, std::log((start - 0.5) / room) / log_time);
  }
  const auto alpha = roundest(low, high);
  const double size = static_cast<double>(active), all = static_cast<double>(width);
  const auto beta = roundest(size / all, std::min(1.0, std::nextafter((size + 1) / all, 0.0)));
  if (!alpha || !beta || task_window_size(*beta, width) != active) return std::nullopt;
  if (!at::equal(task_windows(timesteps, width, active, *alpha), given)) return std::nullopt;
  return TaskWindows{*alpha, *beta};
}

namespace {

class TaskMasks : public BlockRouter {
 public:
  TaskMasks(const ModelConfig& c, const at::TensorOptions& options)
      : windows_(task_windows(c.num_timesteps, c.hidden_size, task_window_size(c.task_beta, c.hidden_size),
                              c.task_alpha)
                     .to(options.device(), c10::typeMetaToScalarType(options.dtype()))) {}

  at::Tensor mask(const at::Tensor& x, const TimestepInput& time, int64_t, const RoutingControl&,
                  const RoutingTape&) const override {
    return windows_.index_select(0, time.index).to(x.scalar_type()).unsqueeze(1);  // [N, 1, D]
  }

  void pack(const at::Tensor&) override {}
  std::optional<kernels::Routing> route(const at::Tensor&) const override { return std::nullopt; }
  std::vector<Parameter> parameters(const std::string&) override { return {}; }
  void initialize(const at::Generator&) override {}

  void add_derived_state(const std::string& prefix, StateDict& state) const override {
    state[prefix + "_unit_mapping"] = windows_.to(at::kFloat);
  }

 private:
  at::Tensor windows_;  // [num_timesteps, D]
};

}  // namespace

void validate_task_masks(const ModelConfig& c) {
  require(c.task_alpha > 0 && c.task_alpha <= 100,
          "task_alpha must be in (0, 100], got " + std::to_string(c.task_alpha));
  require(c.task_beta > 0 && c.task_beta <= 1 && task_window_size(c.task_beta, c.hidden_size) >= 1,
          "task_beta must be in (0, 1] and leave at least one channel, got " + std::to_string(c.task_beta));
}

int64_t derived_task_masks(const ModelConfig& c) { return c.depth * c.num_timesteps * c.hidden_size; }

std::unique_ptr<BlockRouter> make_task_masks(const ModelConfig& config, int64_t,
                                             const at::TensorOptions& options) {
  return std::make_unique<TaskMasks>(config, options);
}

}  // namespace switchyard::dit

// The fixed task masks of DTR (Park et al. 2024, "Denoising Task Routing for Diffusion Models"): each
// timestep uses a window of the channels, and the window moves from the first channels to the last as t
// grows.
#pragma once

#include <optional>

#include "dit/parts.h"

namespace switchyard::dit {

/// -> [timesteps, width] fp32 of 0 and 1: `active` ones per row, the first of them at
///   round((width - active) * (t / (timesteps - 1))^alpha)
at::Tensor task_windows(int64_t timesteps, int64_t width, int64_t active, double alpha);

/// How many of `width` channels a window holds: floor(beta * width).
int64_t task_window_size(double beta, int64_t width);

struct TaskWindows {
  double alpha, beta;
};

/// The roundest alpha and beta whose windows are exactly these, or nothing when no alpha is.
std::optional<TaskWindows> fit_task_windows(const at::Tensor& windows);

/// The router that multiplies by them.
void validate_task_masks(const ModelConfig& config);
int64_t derived_task_masks(const ModelConfig& config);
std::unique_ptr<BlockRouter> make_task_masks(const ModelConfig& config, int64_t block,
                                             const at::TensorOptions& options);

}  // namespace switchyard::dit

// One batch of images on its way from noise through the solver.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "dit/replayed_forward.h"
#include "pipeline/batch_model.h"
#include "pipeline/events.h"
#include "pipeline/request.h"
#include "sampler/problem.h"

namespace switchyard::pipeline {

/// What all batches of a request share; everything must outlive them.
struct Drawing {
  const dit::DiffusionTransformer& model;
  dit::ReplayedForward& replayed;
  CompiledRecipe& recipe;
  const Request& request;
  const Observer& observer;
  std::vector<double> times;                                            // at which a model on the CPU will be asked
  std::function<at::Tensor(const at::Tensor& x_hat)> preview;           // of predicted clean images or latents
  std::function<double()> seconds;                                      // since the beginning
  std::function<double(double stepped, double decoded)> done;  // share of the work, see Work in session.cc
};

/// Whether an evaluation has every image twice, with its class and without. (A weaker model comes afterwards.)
bool has_both_halves(const Settings& settings);

/// The images first .. first + batch_size - 1 of the request (or to its end): [n, C, H, W] fp32 on the model's
/// device, or nothing: cancelled. Throws io::InputError at the first step whose result is not finite, with the
/// step, and which block and half of guidance it began in.
std::optional<at::Tensor> draw_batch(const Drawing& drawing, int64_t first);

}  // namespace switchyard::pipeline

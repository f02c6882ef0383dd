// Can the stated objective be right? A question that costs as much as a guided step where it is, and at most two where
// it is not.
#pragma once

#include <optional>
#include <string>

#include "dit/transformer.h"

namespace switchyard::pipeline {

/// Shows the model images of one colour in known noise, at two noise levels, and compares its one-step answers
/// with what the stated objective calls right: the noise, the image, noise - image, or the v of both. Where they
/// are off, also with what every other one does, on both kinds of schedule and in both directions of time. Returns a warning when another one fits
/// clearly better: a text that names both. Diffusion schedules are not told apart from each other (linear, cosine),
/// gvp is not asked about, and an untrained model fits nothing. The same pseudo-random colours and noise in every call.
std::optional<std::string> probe_objective(const dit::DiffusionTransformer& model);

}  // namespace switchyard::pipeline
